"""What readers are interested in, on a local Spark session: against plain folds and a planted truth."""

from __future__ import annotations

import asyncio
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ingestion.datasets.synthetic import Synthetic
from ingestion.events import (
    AnyEvent,
    ClientReport,
    Event,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.lake_files import write_lake
from ingestion.stored import body_of
from ingestion.world.generate import generate, write
from ingestion.world.plan import WorldPlan
from pipelines.stream.content import write as write_content
from timelines import functions, interests
from timelines.client import open_async_client, open_client
from timelines.interests import LIFETIME_S, SIMILAR, Interests
from timelines.keys import Keyspace
from timelines.settings import RedisSettings
from timelines.topics import NO_TOPIC, topics_of_hashtags

pytestmark = pytest.mark.spark

START = 1_700_000_000_000
HOUR = 3_600_000
UNTIL = START + 48 * HOUR
TAGS = ("Ski", "sun", "Sea", "chess", "jazz", "tea")


def built(spark: Any, folder: Path, events: Iterable[Event], until: int = UNTIL) -> dict[int, Any]:
    """The table of the events before ``until``, by user."""
    from pipelines.batch import acts, reader_interests
    from pipelines.batch.lake import read_lake
    from pipelines.batch.ticks import BuildTime

    lake = folder / "lake"
    if not lake.exists():
        write_lake(lake, events)
    read = read_lake(spark, lake, "", until)
    build = BuildTime(until, datetime.fromtimestamp(until / 1000, tz=UTC))
    ratings = reader_interests.ratings(
        acts.engagements(read), read.reports, read.tweets, read.deletions, build
    ).cache()
    rows = reader_interests.transform(ratings, build)
    rows.write.parquet(str(folder / f"table-{until}"))
    return {row.user: row for row in pd.read_parquet(folder / f"table-{until}").itertuples()}


def random_log(seed: int) -> list[AnyEvent]:
    """Eight people on forty tweets: acts, acts done again and taken back, deletions."""
    chance = random.Random(seed)
    events: list[AnyEvent] = []

    def add(event_type: type[AnyEvent], **fields: Any) -> None:
        events.append(event_type(event_id=f"e{len(events):05}", **fields))

    tweets = {100 + number: 1 + chance.randrange(8) for number in range(40)}
    for tweet, author in tweets.items():
        tags = tuple(chance.sample(TAGS, chance.randrange(4)))
        add(TweetCreated, ts=START + tweet, tweet_id=tweet, author_id=author, text="", hashtags=tags)
    add(TweetDeleted, ts=START + HOUR, tweet_id=103, author_id=tweets[103])
    for _ in range(300):
        ts, user = START + HOUR + chance.randrange(47 * HOUR), 1 + chance.randrange(8)
        tweet, active = chance.choice(list(tweets)), chance.random() < 0.7
        edge = {"ts": ts, "user_id": user, "tweet_id": tweet, "author_id": tweets[tweet], "active": active}
        kind = chance.choice(("like", "retweet", "open", "shown"))
        if kind == "like":
            add(LikeChanged, **edge)
        elif kind == "retweet":
            add(RetweetChanged, retweet_id=10_000 + len(events), **edge)
        else:
            add(
                ClientReport, ts=ts, feed_request_id=f"r{ts}", user_id=user, tweet_id=tweet, position=0,
                action=kind,
            )  # fmt: skip
    return events


def ratings_of(events: Sequence[Event], until: int = UNTIL) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """The same in plain Python: by user the weight of each topic, and of each tweet acted on."""
    last: dict[tuple[str, int, int], tuple[int, str, bool]] = {}
    about: dict[int, tuple[int, ...]] = {}
    topics: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    tweets: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    deleted = {event.tweet_id for event in events if isinstance(event, TweetDeleted)}
    for event in events:
        match event:
            case TweetCreated() if event.tweet_id not in deleted:
                found = tuple(topic for topic in topics_of_hashtags(event.hashtags) if topic != NO_TOPIC)
                about[event.tweet_id] = found
                for topic in found:
                    topics[event.author_id][topic] += left(event.ts, until)
            case LikeChanged() | RetweetChanged():
                edge = (type(event).__name__, event.user_id, event.tweet_id)
                last[edge] = max(last.get(edge, (0, "", False)), (event.ts, event.event_id, event.active))
            case ClientReport() if event.action == "open":
                edge = ("open", event.user_id, event.tweet_id)
                last[edge] = max(last.get(edge, (0, "", False)), (event.ts, event.event_id, True))
    for (_, user, tweet), (ts, _, active) in last.items():
        if active:
            tweets[user][tweet] += left(ts, until)
            for topic in about.get(tweet, ()):
                topics[user][topic] += left(ts, until)
    return topics, tweets


def left(ts: int, until: int) -> float:
    return math.exp((ts - until) / (LIFETIME_S * 1000))


@pytest.fixture(scope="module")
def log() -> list[AnyEvent]:
    return random_log(3)


@pytest.fixture(scope="module")
def table(spark: Any, tmp_path_factory: pytest.TempPathFactory, log: list[AnyEvent]) -> dict[int, Any]:
    """What is built of the random log."""
    return built(spark, tmp_path_factory.mktemp("interests"), log)


def test_a_topic_of_spark_is_the_topic_of_the_feed(spark: Any) -> None:
    from pipelines.batch.topics import topics_of

    tags = ["Ski", "SKI", "naïve", "ÉTÉ", "straße", "ΣΊΣΥΦΟΣ", "Привет", "東京", "İzmir", "ＡＢＣ", "a_1"]
    several = [[tag] for tag in tags] + [["one", "Two", "three"], [], None]
    frame = spark.createDataFrame([(row,) for row in several], "hashtags array<string>")
    found = [row.topics for row in frame.select(topics_of("hashtags").alias("topics")).collect()]
    expected = [[t for t in topics_of_hashtags(row or ()) if t != NO_TOPIC] for row in several]
    assert found == expected


def test_topics_weigh_what_is_left_of_the_acts_on_them(table: dict[int, Any], log: list[AnyEvent]) -> None:
    topics, _ = ratings_of(log)
    assert set(table) >= set(topics)
    for user, weights in topics.items():
        found = dict(zip(table[user].topics, table[user].weights, strict=True))
        assert found == pytest.approx(weights)
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_those_are_alike_whose_acts_are(table: dict[int, Any], log: list[AnyEvent]) -> None:
    topics, tweets = ratings_of(log)
    ratings = {
        user: {**{("tweet", item): w for item, w in tweets[user].items()},
               **{("topic", item): w for item, w in topics[user].items()}}
        for user in {*topics, *tweets}
    }  # fmt: skip
    raters: dict[Any, int] = defaultdict(int)
    for rated in ratings.values():
        for item in rated:
            raters[item] += 1
    units = {}
    for user, rated in ratings.items():
        vector = {item: w / math.log1p(raters[item]) for item, w in rated.items()}
        best = dict(sorted(vector.items(), key=lambda pair: -pair[1])[:30])
        length = math.sqrt(sum(w * w for w in best.values()))
        units[user] = {item: w / length for item, w in best.items()}
    for user, mine in units.items():
        cosines = {
            other: sum(w * theirs.get(item, 0.0) for item, w in mine.items())
            for other, theirs in units.items()
            if other != user
        }
        expected = sorted((other for other, cosine in cosines.items() if cosine), key=lambda o: -cosines[o])
        assert list(table[user].similar) == expected


def test_nobody_is_compared_with_more_than_an_item_leads_to(spark: Any) -> None:
    from pipelines.batch import similar_users

    crowd = [(user, 1, 1.0) for user in range(300)] + [(user, 1000 + user, 1.0) for user in range(300)]
    ratings = spark.createDataFrame(crowd, "user long, item long, weight double")
    rows = similar_users.transform(ratings, SIMILAR).toPandas()
    assert len(rows) == 300
    assert all(len(similar) == SIMILAR for similar in rows["similar"])
    assert len({other for similar in rows["similar"] for other in similar}) <= similar_users.HOLDERS
    assert not any(user in similar for user, similar in zip(rows["user"], rows["similar"], strict=True))


def test_in_the_synthetic_world_similar_users_share_interests_far_more_than_chance(
    spark: Any, tmp_path: Path
) -> None:
    """The mean cosine of the true interests, against that of everybody with everybody."""
    plan = WorldPlan(seed=11, users=300, days=3)
    world = generate(plan)
    write(world, tmp_path / "world")
    source = Synthetic(tmp_path / "world")
    table = built(spark, tmp_path, source.events({source.name: 0}), plan.end_ms)
    truth = world.tables["truth_users"]
    interest = np.array(truth.column("topics").to_pylist())[np.argsort(truth.column("user_id"))]
    interest /= np.linalg.norm(interest, axis=1, keepdims=True)
    alike = interest @ interest.T
    gains = []
    for user, row in table.items():
        if len(row.similar):
            anybody = (alike[user - 1].sum() - 1) / (plan.users - 1)
            gains.append(alike[user - 1, row.similar - 1].mean() - anybody)
    gain, error = np.mean(gains), np.std(gains) / math.sqrt(len(gains))
    assert len(gains) > 0.9 * plan.users
    assert gain > 0.1
    assert gain > 6 * error


@pytest.mark.valkey
def test_what_is_read_later_is_what_a_later_build_would_find(
    spark: Any, table: dict[int, Any], tmp_path: Path, log: list[AnyEvent], valkey: str
) -> None:
    """The build of one moment and the events since, by the stream's writer, weigh as a build of both."""
    from features.interests import write_interests

    early = UNTIL - 3 * HOUR
    address = RedisSettings(url=valkey)
    keys = Keyspace("interests", partitions=4)
    earlier = built(spark, tmp_path, log, early)
    client = open_client(address, timeout_s=10, connect_timeout_s=10, retries=0)
    functions.load(client)
    assert write_interests(tmp_path / f"table-{early}", client, keys) == len(earlier)
    pipe = client.pipeline(transaction=False)
    write_content(pipe, keys, log)
    pipe.execute()
    client.close()
    about = {
        event.tweet_id: topics_of_hashtags(body_of(event).hashtags)
        for event in log
        if isinstance(event, TweetCreated) and event.tweet_id != 103
    }
    moved = 0
    for user, found in read(address, keys, list(earlier)).items():
        assert found.similar == tuple(earlier[user].similar)
        if not taken_back(log, user, early):
            assert found.favourites(about) == list(table[user].topics)
            moved += list(table[user].topics) != list(earlier[user].topics)
    assert moved


def taken_back(log: list[AnyEvent], user: int, since: int) -> bool:
    """Whether the reader did something again or took it back: a build alone makes that good."""
    before = {key(event) for event in log if event.ts < since and key(event)}
    return any(
        key(event) in before and key(event)[1] == user for event in log if event.ts >= since and key(event)
    )


def key(event: Event) -> Any:
    if isinstance(event, LikeChanged | RetweetChanged):
        return type(event).__name__, event.user_id, event.tweet_id
    if isinstance(event, ClientReport) and event.action == "open":
        return "open", event.user_id, event.tweet_id
    return None


def read(address: RedisSettings, keys: Keyspace, users: list[int]) -> dict[int, Interests]:
    async def ask() -> dict[int, Interests]:
        client = open_async_client(address, timeout_s=10)
        found = {}
        for user in users:
            pipe = client.pipeline(transaction=False)
            interests.queue(pipe, keys, user)
            found[user] = interests.decode(await pipe.execute())
        await client.aclose()
        return found

    return asyncio.run(ask())
