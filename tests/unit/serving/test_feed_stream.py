"""The streams of one worker over the in-memory store: who is told what, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import ConnectionError as RedisConnectionError

from serving.api.stream import newer_of
from serving.live.connection import Connection
from serving.live.hub import Hub
from serving.live.metrics import LiveMetrics
from serving.live.settings import LiveSection
from serving.live.streams import TooManyStreamsError
from serving.shapes import FeedItem
from timelines import commands, entry
from timelines.bodies import TweetBody, TweetCounts
from timelines.home import HomeReader

AUTHOR, OTHER, CELEBRITY = 7, 8, 9


@dataclass
class Event:
    name: str
    data: Any
    id: int | None


@dataclass
class Live:
    """A small world with a hub; ``now`` is its clock in seconds, ``reads`` counts reads of feeds."""

    world: Any
    settings: LiveSection
    now: float = 0.0
    reads: int = 0
    broken: bool = False
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        stores = self.world.feed.stores
        newer = newer_of(self.world.feed)

        async def counted(reader: int, since: int, limit: int) -> Sequence[tuple[int, FeedItem]]:
            self.reads += 1
            if self.broken:
                raise RedisConnectionError("away")
            return await newer(reader, since, limit)

        keeps_nothing = self.world.settings.model_copy(update={"pull_cache_ms": 0})
        home = HomeReader(stores.redis, stores.keys, keeps_nothing)
        metrics = LiveMetrics(self.registry)
        self.hub = Hub(home, stores.reads, counted, self.settings, metrics, lambda: self.now)

    def open(self, since: int | None = None) -> Connection:
        return self.hub.open(self.world.reader, since)

    def round(self, seconds: float = 5.0) -> None:
        self.now += seconds
        asyncio.run(self.hub.round())

    def events(self, connection: Connection) -> list[Event]:
        """What is queued, taken by the client."""
        if connection.idle:
            return []
        content = asyncio.run(connection.next())
        assert content is not None
        blocks = [block.split("\n") for block in content.decode().split("\n\n") if block]
        fields = [dict(line.split(": ", 1) for line in block) for block in blocks if block != [":"]]
        return [
            Event(f["event"], orjson.loads(f["data"]), int(f["id"]) if "id" in f else None)
            for f in fields
            if "event" in f
        ]

    def tweets(self, connection: Connection) -> list[int]:
        found = [event for event in self.events(connection) if event.name == "tweet"]
        return [int(event.data["tweet"]["id"]) for event in found]

    def figure(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def live(world: Any) -> Live:
    world.follow(AUTHOR, OTHER, CELEBRITY)
    world.tweet(100, AUTHOR)
    return Live(world, LiveSection(per_reader=2, connections=3, catch_up=5, watched=3))


def test_a_stream_begins_with_what_comes_and_tells_each_tweet_once(live: Live) -> None:
    connection = live.open()
    live.round()
    (ready,) = live.events(connection)
    assert (ready.name, ready.id) == ("ready", 100)
    live.world.tweet(101, AUTHOR)
    live.round()
    (event,) = live.events(connection)
    assert (event.name, event.id, event.data["tweet"]["text"]) == ("tweet", 101, "tweet 101")
    live.round()
    assert live.events(connection) == []


def test_a_resumed_stream_is_told_what_appeared_in_between_oldest_first(live: Live) -> None:
    for tweet in (101, 103, 102):
        live.world.tweet(tweet, AUTHOR)
    connection = live.open(since=101)
    live.round()
    assert [event.id for event in live.events(connection)] == [101, 102, 103]


def test_where_too_much_appeared_in_between_only_a_hint_to_reload_comes(live: Live) -> None:
    connection = live.open(since=100)
    for tweet in range(101, 107):
        live.world.tweet(tweet, AUTHOR)
    live.round()
    assert [(event.name, event.id) for event in live.events(connection)] == [("ready", 100), ("reload", 106)]
    live.world.tweet(107, AUTHOR)
    live.round()
    assert live.tweets(connection) == [107]


def test_idle_readers_cost_no_read_of_a_feed(live: Live) -> None:
    live.open()
    for _ in range(5):
        live.round()
    assert live.reads == 0
    live.world.tweet(101, AUTHOR)
    live.round()
    live.round()
    assert live.reads == 1


def test_what_is_muted_blocked_or_deleted_never_comes(live: Live) -> None:
    connection = live.open()
    live.round()
    live.world.write(commands.set_muted, live.world.reader, AUTHOR, 5, True)
    live.world.write(commands.set_blocked, OTHER, live.world.reader, 5, True)
    live.world.tweet(101, AUTHOR)
    live.world.tweet(102, OTHER)
    live.world.tweet(103, CELEBRITY)
    live.world.delete(103, CELEBRITY)
    for _ in range(4):
        live.round()
    assert live.tweets(connection) == []
    reads = live.reads
    live.round()
    assert live.reads == reads


def test_a_tweet_whose_body_is_late_comes_when_the_body_is_there(live: Live) -> None:
    connection = live.open()
    live.round()
    live.world.tweet(101, AUTHOR, body=False)
    live.world.tweet(102, AUTHOR)
    live.round()
    assert live.tweets(connection) == [102]
    live.world.write(commands.put_body, TweetBody(101, AUTHOR, "late", 1))
    live.round()
    (event,) = live.events(connection)
    assert event.data["tweet"]["text"] == "late"
    assert event.id == 102


def test_a_tweet_of_a_pulled_author_comes_although_nothing_is_delivered(live: Live) -> None:
    live.world.write(commands.mark_pulled, [CELEBRITY])
    connection = live.open()
    live.round()
    live.round()
    live.events(connection)
    one = entry.entry(101, CELEBRITY, 101, CELEBRITY)
    live.world.write(commands.append_outbox, live.world.settings, one)
    live.world.write(commands.put_body, TweetBody(101, CELEBRITY, "to all", 1))
    live.round()
    assert live.tweets(connection) == [101]


def test_a_retweet_of_something_known_comes_with_who_retweeted(live: Live) -> None:
    connection = live.open()
    live.round()
    live.events(connection)
    live.world.retweet(101, OTHER, 100, AUTHOR)
    live.round()
    (event,) = live.events(connection)
    assert (event.id, event.data["tweet"]["id"]) == (101, "100")


def test_changed_counts_of_recent_tweets_come_unless_their_author_is_kept_out(live: Live) -> None:
    live.world.tweet(101, OTHER)
    connection = live.open()
    live.round()
    live.events(connection)
    live.world.write(commands.set_blocked, live.world.reader, OTHER, 5, True)
    for tweet in (100, 101):
        live.world.write(commands.set_tweet_counts, tweet, TweetCounts(3, 2, 1, 0), 9)
    live.round()
    (event,) = live.events(connection)
    assert (event.name, event.id) == ("counts", None)
    counts = {"likes": 3, "retweets": 2, "replies": 1, "quotes": 0}
    assert event.data == {"items": [{"id": "100", "counts": counts}]}
    live.round()
    assert live.events(connection) == []


def test_a_reader_who_takes_nothing_is_dropped_with_its_queue_and_others_go_on(world: Any) -> None:
    live = Live(world, LiveSection(queue_bytes=2000))
    world.follow(AUTHOR)
    slow, quick = live.open(), live.open()
    told = []
    for tweet in range(101, 120):
        world.tweet(tweet, AUTHOR)
        live.round(1.0)
        told += live.tweets(quick)
    assert slow.ending == "slow"
    assert slow.idle
    assert asyncio.run(slow.next()) is None
    assert told == list(range(102, 120))
    live.hub.leave(world.reader, slow)
    assert live.figure("tideline_streams_ended_total", reason="slow") == 1
    assert live.figure("tideline_streams_open") == 1


def test_streams_are_limited_for_a_reader_and_for_the_worker(live: Live) -> None:
    first, _ = live.open(), live.open()
    with pytest.raises(TooManyStreamsError, match="At most 2") as refused:
        live.open()
    assert refused.value.status == 429
    live.hub.open(2, None)
    with pytest.raises(TooManyStreamsError) as full:
        live.hub.open(3, None)
    assert full.value.status == 503
    live.hub.leave(live.world.reader, first)
    live.open()


def test_a_quiet_stream_is_kept_alive_and_an_old_one_ends(world: Any) -> None:
    live = Live(world, LiveSection(keep_alive_seconds=10, longest_seconds=150))
    connection = live.open()
    live.round()
    live.events(connection)
    live.round(11)
    assert asyncio.run(connection.next()) == b":\n\n"
    live.round(150)
    assert [(event.name, event.data) for event in live.events(connection)] == [("end", {"reason": "age"})]
    assert asyncio.run(connection.next()) is None


def test_at_the_end_every_stream_is_told_and_none_is_opened(live: Live) -> None:
    connection = live.open()
    live.hub.stop()
    assert [event.name for event in live.events(connection)] == ["end"]
    with pytest.raises(TooManyStreamsError):
        live.open()


def test_what_could_not_be_read_comes_once_the_store_answers(live: Live) -> None:
    connection = live.open()
    live.round()
    live.events(connection)
    live.world.tweet(101, AUTHOR)
    live.broken = True
    with pytest.raises(RedisConnectionError):
        live.round()
    live.broken = False
    live.round()
    assert live.tweets(connection) == [101]


def test_a_fault_in_one_round_does_not_end_the_streams_of_the_worker(world: Any) -> None:
    live = Live(world, LiveSection(probe_ms=1))
    connection, rounds = live.open(), list[int]()
    live.events(connection)

    async def faulty() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise ZeroDivisionError

    async def run() -> None:
        live.hub.round = faulty  # type: ignore[method-assign]
        live.hub.start()
        async with asyncio.timeout(30):
            while len(rounds) < 3:
                await asyncio.sleep(0)
        assert connection.idle  # nobody told it to go to another worker
        await live.hub.close()

    asyncio.run(run())


def test_what_arrives_out_of_order_comes_and_the_place_to_resume_from_does_not_go_back(live: Live) -> None:
    connection = live.open()
    for tweet in (105, 103):
        live.world.tweet(tweet, AUTHOR)
        live.round()
    found = [event for event in live.events(connection) if event.name == "tweet"]
    assert [(event.data["appearance_id"], event.id) for event in found] == [("103", 105)]
    assert np.all(np.diff([event.id for event in found]) >= 0)
