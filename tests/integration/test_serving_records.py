"""What the ranking API reads from PostgreSQL: lists, replies, missing bodies, and the far end of the feed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from ingestion.events import (
    AccountRegistered,
    AnyEvent,
    FollowChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.rows import rows_of
from ingestion.settings import SecuritySettings
from ingestion.stored import body_of, retweet_row, tweet_row
from ingestion.tokens import mint
from records.connections import connect
from records.materialize import Materializer
from records.migrate import migrate
from records.settings import RecordsSettings
from serving.app import create_app
from serving.settings import ServingSection, ServingSettings
from serving.shapes import FeedPage, TweetPage, UserPage
from timelines import commands, entry
from timelines.bodies import AccountCard
from timelines.home import StoreEmptiedError
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings
from training.settings import MlflowSettings

pytestmark = [pytest.mark.valkey, pytest.mark.postgres]

READER, ANN, BEN, CAT = 1, 7, 8, 9
LENGTH = 5
_namespaces = itertools.count()


@dataclass
class World:
    """Accounts and tweets, in the tables and, unless told otherwise, in the store and before the reader."""

    http: TestClient
    settings: ServingSettings
    client: redis.Redis
    tables: Materializer
    followees: set[int] = field(default_factory=set)

    @property
    def keys(self) -> Keyspace:
        return Keyspace(self.settings.namespace, self.settings.redis.partitions)

    def write(self, put: Any, *arguments: Any) -> None:
        pipe = self.client.pipeline(transaction=False)
        put(pipe, self.keys, *arguments)
        pipe.execute()

    def keep(self, *events: AnyEvent) -> None:
        self.tables.write(rows_of(events))

    def follow(self, follower: int, followee: int, ts: int = 1) -> None:
        self.write(commands.set_followee, follower, followee, ts, True)
        self.keep(
            FollowChanged(event_id=f"f{ts}", ts=ts, follower_id=follower, followee_id=followee, active=True)
        )

    def tweet(self, tweet_id: int, author: int, text: str = "", store: bool = True, **more: Any) -> None:
        event = TweetCreated(
            event_id=f"t{tweet_id}",
            ts=tweet_id,
            tweet_id=tweet_id,
            author_id=author,
            text=text or f"tweet {tweet_id}",
            **more,
        )
        self.keep(event)
        if store:
            self.write(commands.put_body, body_of(event))
            self._appear(tweet_row(event))

    def retweet(self, retweet_id: int, user: int, tweet_id: int, author: int) -> None:
        event = RetweetChanged(
            event_id=f"r{retweet_id}",
            ts=retweet_id,
            retweet_id=retweet_id,
            user_id=user,
            tweet_id=tweet_id,
            author_id=author,
            active=True,
        )
        self.keep(event)
        self._appear(retweet_row(event))

    def _appear(self, row: Any) -> None:
        entries = entry.entry(*row)
        self.write(commands.append_outbox, self.settings.timelines, entries)
        self.write(commands.deliver, self.settings.timelines, np.array([READER]), entries)

    def get(self, path: str, reader: int = READER, **params: Any) -> Any:
        token = mint(self.settings.security, reader, int(time.time()), audit=True)
        return self.http.get(path, params=params, headers={"Authorization": f"Bearer {token}"})

    def pages(self, shape: Any, path: str, **params: Any) -> list[Any]:
        """All pages of a list, to the end, checked against their shape."""
        pages, cursor = [], {}
        while True:
            answer = self.get(path, **params, **cursor)
            assert answer.status_code == 200, answer.text
            page = TypeAdapter(shape).validate_json(answer.content, strict=True)
            pages.append(page)
            assert page["has_more"] == (page["next_cursor"] is not None)
            if not page["has_more"]:
                return pages
            cursor = {"cursor": page["next_cursor"]}


def settings_of(home: Path, valkey: str, dsn: str) -> ServingSettings:
    return ServingSettings(
        home=home,
        namespace=f"serving-records{next(_namespaces)}",
        redis=RedisSettings(url=valkey),
        records=RecordsSettings(dsn=dsn),
        timelines=TimelineSettings(length=LENGTH, slack=4),
        mlflow=MlflowSettings(tracking_uri="http://127.0.0.1:1"),
        security=SecuritySettings(private_key=home / "token.pem", public_key=home / "token.pub.pem"),
        serving=ServingSection(cursor_key=home / "cursor.key", records_ms=10_000),
    )


@pytest.fixture
def world(valkey: str, postgres: str, tmp_path: Path) -> Iterator[World]:
    settings = settings_of(tmp_path, valkey, postgres)
    migrate(settings.records, settings.namespace)
    tables = Materializer(lambda: connect(settings.records, settings.namespace))
    with TestClient(create_app(settings)) as http, redis.Redis.from_url(valkey) as client:
        world = World(http, settings, client, tables)
        for user in (READER, ANN, BEN, CAT):
            world.write(commands.put_card, AccountCard(user, f"h{user}", f"N{user}", 1), 1)
        world.write(commands.note_beginning)
        world.write(commands.activate, settings.timelines, [READER])
        yield world
    tables.close()


def ids(pages: list[Any]) -> list[int]:
    return [int(item["id"]) for page in pages for item in page["items"]]


def feed(pages: list[Any]) -> list[int]:
    return [int(item["tweet"]["id"]) for page in pages for item in page["items"]]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_scrolling_goes_on_below_what_a_timeline_keeps_and_shows_everything_once(
    world: World, limit: int
) -> None:
    for author in (ANN, BEN):
        world.follow(READER, author)
    for tweet_id in range(10, 30):
        world.tweet(tweet_id, ANN if tweet_id % 3 else BEN)
    world.retweet(30, BEN, 11, ANN)
    world.retweet(31, BEN, 99, CAT)
    world.tweet(99, CAT, store=False)
    pages = world.pages(FeedPage, "/v1/feed", algorithm="chronological", limit=limit)
    assert feed(pages) == [99, 11, 29, 28, 27, *(i for i in range(26, 9, -1) if i != 11)]
    rungs = [page["ranking"]["rung"] for page in pages if page["items"]]
    assert rungs == sorted(rungs)
    assert (rungs[0], rungs[-1]) == ("chronological", "records")
    positions = [item["position"] for page in pages for item in page["items"]]
    assert positions == list(range(len(positions)))


def test_what_the_reader_keeps_out_is_kept_out_at_the_far_end_too(world: World) -> None:
    for author in (ANN, BEN, CAT):
        world.follow(READER, author)
    for tweet_id in range(10, 40):
        world.tweet(tweet_id, (ANN, BEN, CAT)[tweet_id % 3], "Rain" if tweet_id == 14 else "sun")
    world.write(commands.set_muted, READER, BEN, 5, True)
    world.write(commands.put_muted_words, READER, ["rain"], 5)
    world.keep(TweetDeleted(event_id="d", ts=99, tweet_id=17, author_id=CAT))
    world.client.delete(world.keys.tweet(17))
    pages = world.pages(FeedPage, "/v1/feed", algorithm="chronological", limit=2)
    authors = {item["tweet"]["author"]["id"] for page in pages for item in page["items"]}
    assert authors == {str(ANN), str(CAT)}
    expected = [i for i in range(39, 9, -1) if i % 3 != 1 and i not in (14, 17)]
    assert feed(pages) == expected


def test_bodies_that_the_store_lacks_come_from_the_records(world: World) -> None:
    world.follow(READER, ANN)
    world.tweet(10, ANN, "kept", place="Bremen")
    world.client.delete(world.keys.tweet(10))
    (page,) = world.pages(FeedPage, "/v1/feed", algorithm="chronological")
    assert [(item["tweet"]["text"], item["tweet"]["place"]) for item in page["items"]] == [("kept", "Bremen")]
    assert world.get("/v1/tweets/10").json()["text"] == "kept"
    world.keep(TweetDeleted(event_id="d", ts=99, tweet_id=10, author_id=ANN))
    assert world.get("/v1/tweets/10").status_code == 404


def test_a_user_timeline_has_what_was_just_posted_and_all_that_was_before(world: World) -> None:
    for tweet_id in range(10, 25):
        world.tweet(tweet_id, ANN)
    world.tweet(30, CAT)
    world.retweet(31, ANN, 30, CAT)
    just_posted = TweetCreated(event_id="t40", ts=40, tweet_id=40, author_id=ANN, text="new")
    world.write(commands.put_body, body_of(just_posted))
    world._appear(tweet_row(just_posted))
    for limit in (1, 4, 50):
        pages = world.pages(TweetPage, f"/v1/users/{ANN}/tweets", limit=limit)
        assert ids(pages) == [40, 30, *range(24, 9, -1)]
    retweeted = pages[0]["items"][1]
    assert [user["id"] for user in retweeted["retweeted_by"]] == [str(ANN)]
    assert world.get("/v1/users/999/tweets").status_code == 404


def test_a_user_timeline_hides_what_is_for_followers_and_closes_to_those_who_are_blocked(
    world: World,
) -> None:
    world.tweet(10, ANN)
    world.tweet(11, ANN, visibility="followers")
    assert ids(world.pages(TweetPage, f"/v1/users/{ANN}/tweets")) == [10]
    world.follow(READER, ANN)
    assert ids(world.pages(TweetPage, f"/v1/users/{ANN}/tweets")) == [11, 10]
    world.write(commands.set_blocked, ANN, READER, 5, True)
    assert world.get(f"/v1/users/{ANN}/tweets").status_code == 403
    assert world.get("/v1/tweets/10").status_code == 404


def test_replies_come_oldest_first_with_the_readers_own_at_once_and_without_the_hidden(
    world: World,
) -> None:
    world.tweet(10, ANN)
    for tweet_id, author in ((20, BEN), (21, CAT), (22, BEN), (29, ANN)):
        world.tweet(tweet_id, author, in_reply_to=10)
    world.tweet(24, BEN, in_reply_to=20)
    # The job has not written the reader's yet, whereas a later one of somebody else's is there.
    for tweet_id in (25, 50):
        about = {"tweet_id": tweet_id, "author_id": READER, "in_reply_to": 10}
        own = TweetCreated(event_id=f"t{tweet_id}", ts=tweet_id, text="mine", **about)
        world.write(commands.put_body, body_of(own))
        world._appear(tweet_row(own))
    world.write(commands.set_muted, READER, CAT, 5, True)
    for limit in (1, 2, 50):
        assert ids(world.pages(TweetPage, "/v1/tweets/10/replies", limit=limit)) == [20, 22, 25, 29, 50]
    assert world.get("/v1/tweets/11/replies").status_code == 404


def test_followers_and_following_are_listed_the_newest_first(world: World) -> None:
    for number, follower in enumerate((READER, BEN, CAT)):
        world.follow(follower, ANN, ts=10 + number)
    world.follow(ANN, BEN, ts=5)
    pages = world.pages(UserPage, f"/v1/users/{ANN}/followers", limit=2)
    assert [len(page["items"]) for page in pages] == [2, 1]
    assert ids(pages) == [CAT, BEN, READER]
    assert ids(world.pages(UserPage, f"/v1/users/{ANN}/following")) == [BEN]
    assert pages[0]["items"][1]["handle"] == f"h{BEN}"
    assert world.get("/v1/users/999/followers").status_code == 404


def test_a_cursor_belongs_to_one_list_of_one_subject_and_one_reader(world: World) -> None:
    for follower in (READER, BEN, CAT):
        world.follow(follower, ANN, ts=follower)
        world.follow(follower, BEN, ts=follower)
    cursor = world.get(f"/v1/users/{ANN}/followers", limit=1).json()["next_cursor"]
    for path, reader in (
        (f"/v1/users/{BEN}/followers", READER),
        (f"/v1/users/{ANN}/following", READER),
        ("/v1/feed", READER),
        (f"/v1/users/{ANN}/followers", BEN),
    ):
        assert world.get(path, reader, cursor=cursor).status_code == 400


def test_without_postgresql_the_feed_answers_and_lists_say_come_back(valkey: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, valkey, "postgresql://x@127.0.0.1:1/x")
    with TestClient(create_app(settings)) as http, redis.Redis.from_url(valkey) as client:
        keys = Keyspace(settings.namespace, settings.redis.partitions)
        pipe = client.pipeline(transaction=False)
        commands.note_beginning(pipe, keys)
        commands.put_card(pipe, keys, AccountCard(ANN, "ann", "Ann", 1), 1)
        pipe.execute()
        token = mint(settings.security, READER, int(time.time()), audit=True)
        headers = {"Authorization": f"Bearer {token}"}
        assert http.get("/v1/feed?algorithm=chronological", headers=headers).json()["items"] == []
        refused = http.get(f"/v1/users/{ANN}/followers", headers=headers)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.headers["Content-Type"] == "application/problem+json"


def test_an_emptied_store_is_not_taken_for_empty_feeds(world: World) -> None:
    for tweet_id, author in ((10, ANN), (11, BEN)):
        world.follow(READER, author)
        world.tweet(tweet_id, author)
    assert feed(world.pages(FeedPage, "/v1/feed", algorithm="chronological")) == [11, 10]
    for key in world.client.scan_iter(f"{world.settings.namespace}:*"):
        world.client.delete(key)
    pages = world.pages(FeedPage, "/v1/feed", algorithm="chronological")
    assert feed(pages) == [11, 10]
    assert {page["ranking"]["rung"] for page in pages} == {"records"}
    ready = world.http.get("/readyz").json()
    assert (ready["status"], ready["dependencies"]["redis"]) == ("degraded", str(StoreEmptiedError()))
    world.write(commands.note_beginning)
    assert feed(world.pages(FeedPage, "/v1/feed", algorithm="chronological")) == []


def test_without_the_store_the_feed_is_answered_from_the_records(world: World, tmp_path: Path) -> None:
    for author in (ANN, BEN, CAT):
        world.follow(READER, author)
    for tweet_id in range(10, 40):
        world.tweet(tweet_id, (ANN, BEN, CAT)[tweet_id % 3], "Rain" if tweet_id == 14 else "sun")
    world.retweet(40, ANN, 11, CAT)
    account = AccountRegistered(
        event_id="a", ts=1, user_id=ANN, handle="ann", display_name="Ann", place="Bremen", created_at=1
    )
    world.keep(account, TweetDeleted(event_id="d", ts=99, tweet_id=17, author_id=CAT))
    with connect(world.settings.records, world.settings.namespace) as connection:
        connection.execute("INSERT INTO mutes VALUES (%s, %s, true, 1, 'm')", (READER, BEN))
        connection.execute("INSERT INTO muted_words VALUES (%s, %s, 1, 'w')", (READER, ["rain"]))
    nowhere = world.settings.model_copy(update={"redis": RedisSettings(url="redis://127.0.0.1:1/0")})
    with TestClient(create_app(nowhere)) as http:
        without_store = World(http, nowhere, world.client, world.tables)
        expected = [11, *(i for i in range(39, 9, -1) if i % 3 != 1 and i not in (11, 14, 17))]
        for algorithm in ("chronological", "ranked"):
            pages = without_store.pages(FeedPage, "/v1/feed", algorithm=algorithm, limit=4)
            assert feed(pages) == expected
            assert {page["ranking"]["rung"] for page in pages} == {"records"}
            assert {page["ranking"]["reason"] for page in pages} <= {
                "redis_unavailable",
                "breaker_open",
            }
        first = pages[0]["items"][0]["tweet"]
        assert [user["handle"] for user in first["retweeted_by"]] == ["ann"]
        assert first["retweeted_by"][0]["viewer"]["follows"]
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["dependencies"]["records"] == "ok"
