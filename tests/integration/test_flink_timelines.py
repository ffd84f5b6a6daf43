"""The timelines and content jobs on the embedded mini cluster, against a real Valkey."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import redis
import redis.asyncio

from ingestion.events import (
    AccountRegistered,
    AuthorHidden,
    AuthorTierChanged,
    BlockChanged,
    ClientReport,
    Event,
    FanOutChanged,
    FollowChanged,
    LikeChanged,
    MuteChanged,
    MutedWordsChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
    encode,
)
from ingestion.settings import KafkaSettings
from pipelines.settings import FlinkSettings, StreamSettings
from timelines.bodies import decode_body, decode_card, decode_words
from timelines.home import HomeReader
from timelines.keys import Keyspace
from timelines.reading import active_members
from timelines.settings import RedisSettings, TimelineSettings

pytestmark = [pytest.mark.flink, pytest.mark.valkey]

_namespaces = itertools.count()
_ids = itertools.count()
SHARDS = 2


def follow(follower: int, followee: int, active: bool = True) -> FollowChanged:
    number = next(_ids)
    return FollowChanged(
        event_id=f"e{number}", ts=number, follower_id=follower, followee_id=followee, active=active
    )


def tweet(tweet_id: int, author: int, text: str = "words") -> TweetCreated:
    return TweetCreated(event_id=f"t{tweet_id}", ts=tweet_id, tweet_id=tweet_id, author_id=author, text=text)


def retweet(retweet_id: int, user: int, tweet_id: int, author: int, active: bool = True) -> RetweetChanged:
    return RetweetChanged(
        event_id=f"r{retweet_id}{active}",
        ts=retweet_id + int(not active),
        retweet_id=retweet_id,
        user_id=user,
        tweet_id=tweet_id,
        author_id=author,
        active=active,
    )


def rows(values: Sequence[Event | bytes], shard_of: Callable[[Any], int], size: int = 3) -> list[Any]:
    """Batches as the source makes them: ``size`` records of one shard each, offsets counting up."""
    from pyflink.common import Row

    by_shard: dict[int, list[tuple[bytes, int]]] = {}
    for offset, value in enumerate(values):
        shard = 0 if isinstance(value, bytes) else shard_of(value) % SHARDS
        by_shard.setdefault(shard, []).append((value if isinstance(value, bytes) else encode(value), offset))
    batches = []
    for shard, records in by_shard.items():
        for start in range(0, len(records), size):
            part = records[start : start + size]
            payloads, offsets = [value for value, _ in part], [offset for _, offset in part]
            batches.append(Row(shard, "events", payloads, [7] * len(part), offsets))
    return batches


def author_of(event: Any) -> int:
    match event:
        case FanOutChanged():  # here all authors are of the shard of author 1
            author = 1
        case FollowChanged():
            author = event.followee_id
        case TweetCreated() | AuthorTierChanged():
            author = event.author_id
        case _:
            author = event.user_id
    return int(author)


@dataclass
class Job:
    """Runs a job over bounded input and reads what it left in the store."""

    environment: Callable[[], Any]
    settings: StreamSettings
    client: redis.Redis

    @property
    def keys(self) -> Keyspace:
        return Keyspace(self.settings.namespace, self.settings.redis.partitions)

    def timelines(self, *values: Event | bytes, tiers: TimelineSettings | None = None) -> list[Any]:
        from pipelines.stream import timelines
        from pipelines.stream.store import StoreAddress

        settings = self.settings.timelines if tiers is None else tiers
        address = StoreAddress(self.settings.redis, settings, self.settings.namespace)
        timelines.note_beginning(address)
        return self._run(
            rows(values, author_of), lambda batches: timelines.build(batches, address, self.settings.flink)
        )

    def content(self, *values: Event | bytes) -> list[Any]:
        from pipelines.stream import content
        from pipelines.stream.store import StoreAddress

        address = StoreAddress.of(self.settings)
        return self._run(rows(values, lambda _: 0), lambda batches: content.build(batches, address))

    def _run(self, batches: list[Any], build: Callable[[Any], Any]) -> list[Any]:
        """The dead letters."""
        from pipelines.stream.connectors import BATCH

        env = self.environment()
        with build(env.from_collection(batches, type_info=BATCH)).execute_and_collect() as letters:
            return [json.loads(letter) for letter in letters]

    def feed(self, reader: int) -> list[int]:
        async def read() -> list[int]:
            client = redis.asyncio.Redis.from_url(self.settings.redis.url)
            try:
                home = await HomeReader(client, self.keys, self.settings.timelines).read(reader)
            finally:
                await client.aclose()
            appearances: list[int] = home.entries["appearance"].tolist()
            return appearances

        return asyncio.run(read())


@pytest.fixture
def job(flink_environment: Callable[[], Any], valkey: str) -> Job:
    settings = StreamSettings(
        namespace=f"flink{next(_namespaces)}",
        redis=RedisSettings(url=valkey, partitions=4),
        timelines=TimelineSettings(push_below=3, pull_above=3, length=5, slack=4),
        flink=FlinkSettings(shards=SHARDS, flush_ms=20),
    )
    return Job(flink_environment, settings, redis.Redis.from_url(valkey))


def test_tweets_and_retweets_reach_followers_whether_the_follow_came_before_or_after(job: Job) -> None:
    job.timelines(
        follow(2, 1),
        tweet(100, 1),
        tweet(101, 1),
        retweet(102, 1, 77, 9),
        follow(3, 1),
        tweet(103, 1),
        tweet(104, 3),
    )
    assert job.feed(2) == [103, 102, 101, 100]
    assert job.feed(3) == [104, 103, 102, 101, 100]
    assert job.feed(1) == [103, 102, 101, 100]


def test_an_author_above_the_threshold_is_pulled_and_read_all_the_same(job: Job) -> None:
    job.timelines(*(follow(reader, 1) for reader in (2, 3, 4, 5)), tweet(100, 1), tweet(101, 2))
    assert job.client.smembers(job.keys.pulled()) == {b"1"}
    assert [job.client.strlen(job.keys.home_tail(user)) for user in (3, 4)] == [16, 16]
    assert job.feed(2) == [101, 100]
    assert job.feed(3) == [100]


def test_a_throttled_author_reaches_everybody_at_the_end(job: Job) -> None:
    log = [*(follow(reader, 1) for reader in (2, 3, 4, 5)), tweet(100, 1), tweet(101, 1)]
    job.timelines(*log, tiers=TimelineSettings(push_below=2, pull_above=9, throttled_per_second=1, length=5))
    assert job.client.smembers(job.keys.pulled()) == set()
    assert [job.feed(reader) for reader in (1, 2, 3, 4, 5)] == [[101, 100]] * 5


def test_thresholds_changed_on_the_way_lose_nothing(job: Job) -> None:
    def thresholds(number: int, followers: int) -> FanOutChanged:
        return FanOutChanged(
            event_id=f"s{number}",
            ts=number,
            push_below=followers,
            pull_above=followers,
            throttled_per_second=1000,
        )

    job.timelines(
        *(follow(reader, 1) for reader in (2, 3, 4, 5)),
        tweet(100, 1),
        thresholds(1, 100),
        tweet(101, 1),
        AuthorTierChanged(event_id="o1", ts=2, author_id=1, tier="throttle"),
        tweet(102, 1),
        thresholds(3, 0),
        tweet(103, 1),
        AuthorTierChanged(event_id="o2", ts=4, author_id=1, tier=None),
        tweet(104, 1),
    )
    assert job.client.smembers(job.keys.pulled()) == {b"1"}
    assert job.feed(2) == [104, 103, 102, 101, 100]


@pytest.mark.parametrize("pull_above", [3, 100])
def test_an_author_whose_followers_are_spread_over_all_shards_reaches_each_of_them(
    job: Job, pull_above: int
) -> None:
    def thresholds(number: int, followers: int) -> FanOutChanged:
        return FanOutChanged(
            event_id=f"s{number}", ts=number, push_below=1, pull_above=followers, throttled_per_second=1000
        )

    early, late = range(2, 7), range(7, 10)
    job.timelines(
        *(follow(reader, 1) for reader in early),
        tweet(100, 1),
        retweet(101, 1, 77, 9),
        *(follow(reader, 1) for reader in late),
        tweet(102, 1),
        thresholds(1, 100),
        follow(2, 1, active=False),
        tweet(103, 1),
        thresholds(2, 1 if pull_above == 3 else 50),
        tweet(104, 1),
        tiers=TimelineSettings(push_below=3, pull_above=pull_above, spread_above=4, length=5, slack=4),
    )
    assert job.client.smembers(job.keys.pulled()) == ({b"1"} if pull_above == 3 else set())
    assert [job.feed(reader) for reader in (1, *early, *late)] == [
        [] if reader == 2 else [104, 103, 102, 101, 100] for reader in (1, *early, *late)
    ]


def test_an_unfollowed_author_and_a_retweet_taken_back_are_gone(job: Job) -> None:
    job.timelines(
        follow(2, 1),
        follow(2, 3),
        tweet(100, 1),
        retweet(101, 3, 77, 9),
        tweet(102, 3),
        follow(2, 1, active=False),
        retweet(101, 3, 77, 9, active=False),
    )
    assert job.feed(2) == [102]


def test_running_the_same_log_again_changes_nothing(job: Job) -> None:
    log = [follow(2, 1), *(tweet(100 + number, 1) for number in range(20)), retweet(130, 1, 77, 9)]
    job.timelines(*log)
    first = job.feed(2)
    job.timelines(*reversed(log))
    assert job.feed(2) == first == [130, 119, 118, 117, 116]


def test_what_is_not_an_event_becomes_a_dead_letter_and_the_rest_goes_on(job: Job) -> None:
    unknown_version = encode(tweet(99, 1)).replace(b'"v":1', b'"v":2')
    impossible = encode(tweet(98, 1)).replace(b'"author_id":1', b'"author_id":-1')
    letters = job.timelines(b"\xff{", tweet(100, 1), unknown_version, b"", impossible)
    assert job.feed(1) == [100]
    found = {letter["offset"]: letter for letter in letters}
    assert sorted(found) == [0, 2, 3, 4]
    assert {(letter["topic"], letter["partition"]) for letter in letters} == {("events", 7)}
    assert "$.v" in found[2]["reason"]
    assert "ids" in found[4]["reason"]
    assert found[0]["value"] == "/3s="


def report(event_id: str, ts: int, tweet_id: int, action: Literal["open", "shown"]) -> ClientReport:
    return ClientReport(
        event_id=event_id, ts=ts, feed_request_id="r", user_id=2, tweet_id=tweet_id, position=0, action=action
    )


def test_content_writes_bodies_cards_and_sets_and_a_tombstone_is_final(job: Job) -> None:
    letters = job.content(
        AccountRegistered(
            event_id="a1", ts=5, user_id=1, handle="ada", display_name="Ada", place="Rome", created_at=3
        ),
        tweet(100, 1, "kept"),
        TweetDeleted(event_id="d1", ts=200, tweet_id=101, author_id=1),
        tweet(101, 1, "gone"),
        LikeChanged(event_id="l1", ts=300, user_id=2, tweet_id=100, author_id=1, active=True),
        LikeChanged(event_id="l2", ts=301, user_id=2, tweet_id=101, author_id=1, active=True),
        LikeChanged(event_id="l3", ts=302, user_id=2, tweet_id=101, author_id=1, active=False),
        retweet(400, 2, 100, 1),
        b"not an event",
        MuteChanged(event_id="m1", ts=301, user_id=2, muted_id=7, active=False),
        MuteChanged(event_id="m2", ts=300, user_id=2, muted_id=7, active=True),
        MuteChanged(event_id="m3", ts=300, user_id=2, muted_id=8, active=True),
        BlockChanged(event_id="b1", ts=300, user_id=2, blocked_id=9, active=True),
        MutedWordsChanged(event_id="w2", ts=301, user_id=2, words=("late",)),
        MutedWordsChanged(event_id="w1", ts=300, user_id=2, words=("early",)),
        AuthorHidden(event_id="h2", ts=301, user_id=2, author_id=7),
        AuthorHidden(event_id="h1", ts=300, user_id=2, author_id=7),
        report("o2", 310, 102, "open"),
        report("o1", 305, 102, "open"),
        report("o3", 308, 103, "open"),
        report("s1", 309, 104, "shown"),
    )
    for key, active in ((job.keys.muted(2), [8]), (job.keys.blocked(2), [9]), (job.keys.blocked_by(9), [2])):
        assert active_members(job.client.zrange(key, 0, -1, withscores=True)).tolist() == active
    assert decode_words(job.client.get(job.keys.muted_words(2))) == ("late",)
    assert job.client.zscore(job.keys.hidden_authors(2), 7) == 301
    kept, gone = (decode_body(job.client.get(job.keys.tweet(tweet_id))) for tweet_id in (100, 101))
    card = decode_card(job.client.get(job.keys.account(1)))
    likes = job.client.zrange(job.keys.likes(2), 0, -1, withscores=True)
    retweets = job.client.zrange(job.keys.retweets(2), 0, -1, withscores=True)
    assert kept is not None
    assert (kept.text, kept.created_at, kept.deleted) == ("kept", 100, False)
    assert gone is not None
    assert (gone.text, gone.deleted) == (None, True)
    assert card is not None
    assert (card.handle, card.display_name, card.place, card.created_at) == ("ada", "Ada", "Rome", 3)
    assert active_members(likes).tolist() == active_members(retweets).tolist() == [100]
    opened = job.client.zrange(job.keys.opened(2), 0, -1, withscores=True)
    assert [(int(member), int(score) // 2) for member, score in opened] == [(103, 308), (102, 310)]
    assert [letter["offset"] for letter in letters] == [8]


def test_python_runs_in_threads_of_the_jvm_and_stateful_operators_have_fixed_uids(
    flink_environment: Callable[[], Any], tmp_path: Path
) -> None:
    from pipelines.stream import connectors, timelines
    from pipelines.stream.store import StoreAddress

    flink_environment()  # starts the gateway as the other tests need it
    settings = StreamSettings(namespace="n", flink=FlinkSettings(checkpoint_dir=tmp_path))
    env = connectors.environment(settings, "timelines")
    batches = env.from_collection(rows([tweet(1, 1)], author_of), type_info=connectors.BATCH)
    timelines.build(batches, StoreAddress.of(settings), settings.flink)
    steps = {step.getName(): step for step in env._j_stream_execution_environment.getTransformations()}
    operators = [
        step.getOperator().getClass().getSimpleName()
        for step in steps.values()
        if hasattr(step, "getOperator")
    ]
    assert "EmbeddedPythonKeyedProcessOperator" in operators
    assert not [name for name in operators if name.startswith("External")]
    assert {"fan-out", "fan-out-shares", "delivery"} <= {step.getUid() for step in steps.values()}


def test_checkpoints_are_exactly_once_and_in_a_folder_of_the_job(tmp_path: Path) -> None:
    from pipelines.stream import connectors

    settings = StreamSettings(namespace="n", flink=FlinkSettings(checkpoint_dir=tmp_path))
    config = connectors.configuration(settings, "timelines").to_dict()
    assert config["execution.checkpointing.mode"] == "EXACTLY_ONCE"
    assert config["execution.checkpointing.externalized-checkpoint-retention"] == "RETAIN_ON_CANCELLATION"
    assert config["execution.checkpointing.dir"] == f"{tmp_path.as_uri()}/n/timelines"
    assert connectors.job_name(settings, "timelines") == "n-timelines"
    assert connectors.job_name(StreamSettings(namespace=""), "content") == "main-content"


def test_a_job_on_topics_that_are_not_there_is_refused_with_a_sentence() -> None:
    from ingestion.topics import TWEETS
    from pipelines.stream import connectors

    settings = StreamSettings(kafka=KafkaSettings(bootstrap="127.0.0.1:9"))
    with pytest.raises(connectors.MissingTopicsError, match=r"^Kafka does not answer at 127\.0\.0\.1:9\.$"):
        connectors.require_topics(settings, (TWEETS,))
