"""The engagement job on the embedded mini cluster: the tallies of the fold of the log, whatever its order."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
import redis
from engagement_model import END, HOUR, START, Expected, random_log, topic_of

from features.aggregates import ACCOUNT, SHOWING, TWEET
from features.names import (
    AUTHOR_ENGAGEMENT,
    TWEET_ENGAGEMENT,
    TWEET_SHOWINGS,
    USER_AUTHOR_RECENT,
    VIEWS,
    WINDOWS,
    View,
)
from features.rows import at_age, decode_rows, row_key, row_pattern, unpack_rows
from features.tallies import TALLIED, values_of
from ingestion.events import ClockAdvanced, encode
from ingestion.lake_files import write_lake
from ingestion.topics import ENGAGEMENTS, Topic
from pipelines.settings import FlinkSettings
from timelines.bodies import AccountCounts, TweetCounts, decode_account_counts, decode_tweet_counts
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

pytestmark = [pytest.mark.flink, pytest.mark.valkey]

NAMESPACE = "engagementtest"
KEYS = Keyspace(NAMESPACE, RedisSettings().partitions)
LOG = random_log()
EXPECTED = Expected(LOG)


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, flink_environment: Callable[[], Any], valkey: str
) -> Iterator[redis.Redis]:
    """The store when the running job has read a log that is shuffled and says much of it twice."""
    from pyflink.table import StreamTableEnvironment

    from pipelines.stream import engagement, sql_tables
    from pipelines.stream.engagement_queries import USED
    from pipelines.stream.store import StoreAddress

    folder = tmp_path_factory.mktemp("engagement")
    dice = random.Random(11)
    records = [*LOG, *dice.sample(LOG, 150)]
    dice.shuffle(records)
    lines: dict[Topic, list[bytes]] = {topic: [b"no event"] for topic in engagement.INPUTS}
    for event in records:
        lines[topic_of(event)].append(encode(event))
    lines[ENGAGEMENTS].append(encode(ClockAdvanced(event_id="clock", ts=START + 100 * HOUR)))
    env = flink_environment()
    t_env = StreamTableEnvironment.create(env)
    for topic in engagement.INPUTS:
        (folder / topic.name).mkdir()
        (folder / topic.name / "log.json").write_bytes(b"\n".join(lines[topic]))
        # A source that goes on looking for files: the job runs on, as it does on Kafka.
        source = {
            "connector": "filesystem",
            "path": str(folder / topic.name),
            "source.monitor-interval": "1 s",
            **sql_tables.json_format(),
        }
        sql_tables.create_event_table(t_env, topic, source, used=USED)
    address = StoreAddress(RedisSettings(url=valkey), TimelineSettings(), NAMESPACE)
    engagement.build(t_env, address, FlinkSettings()).print()
    job = env.execute_async("engagement test")
    client = redis.Redis.from_url(valkey)
    try:
        until = time.monotonic() + 60
        while wrong := differences(client):
            assert time.monotonic() < until, f"these rows are not the fold's: {wrong[:5]}"
            assert not job.get_job_status().result().is_globally_terminal_state(), "the job ended"
            time.sleep(0.2)
        yield client
    finally:
        job.cancel().result()


def differences(store: redis.Redis) -> list[tuple[str, int, list[float], list[float]]]:
    wrong = []
    for (kind, owner), fold in EXPECTED.folds.items():
        view, tally = TALLIED[kind], fold.tally()
        got, _ = decode_rows(view, [store.get(row_key(KEYS, view, [owner]))], END)
        wanted = at_age(view, values_of(kind, tally), (END - tally["version"]).astype(np.float64))
        if not np.allclose(got, wanted, rtol=1e-4, atol=1e-9):
            wrong.append((view.name, owner, got[0].tolist(), wanted[0].tolist()))
    for pair in EXPECTED.pairs:
        stored = store.get(row_key(KEYS, USER_AUTHOR_RECENT, pair))
        got, _ = decode_rows(USER_AUTHOR_RECENT, [stored], END)
        affinity = EXPECTED.affinity(pair, END)
        # Who never did anything that stood may have no row.
        if not np.allclose(got, affinity, rtol=1e-5, atol=1e-9) and (affinity or stored):
            wrong.append((USER_AUTHOR_RECENT.name, pair[0], got[0].tolist(), [affinity]))
    return wrong


def test_every_row_is_what_the_fold_of_the_log_says(store: redis.Redis) -> None:
    assert differences(store) == []
    assert {kind for kind, _ in EXPECTED.folds} == {TWEET, SHOWING, ACCOUNT}
    for view in (TWEET_ENGAGEMENT, TWEET_SHOWINGS, AUTHOR_ENGAGEMENT):
        assert all(any(name.endswith(f"_{window}") for name in view.columns) for window in WINDOWS)


@pytest.fixture(scope="module")
def offline(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """What the batch side makes of the same log, up to its end, by view."""
    from pipelines.batch.features_job import tables
    from pipelines.batch.lake import read_lake
    from pipelines.batch.ticks import BuildTime

    lake = write_lake(tmp_path_factory.mktemp("offline") / "lake", LOG)
    events = read_lake(spark, lake, "", END)
    build = BuildTime(END, datetime.fromtimestamp(END / 1000, tz=UTC))
    return {table.name: table.frame.toPandas() for table in tables(events, events, build, lambda view: None)}


@pytest.mark.spark
@pytest.mark.parametrize(
    "view", [view for view in VIEWS if view.engine == "flink"], ids=lambda view: view.name
)
def test_a_feature_has_one_value_online_and_offline(
    view: View, store: redis.Redis, offline: dict[str, pd.DataFrame]
) -> None:
    rows = offline[view.name].sort_values("event_timestamp").groupby(list(view.entities)).tail(1)
    ids = rows[list(view.entities)].to_numpy().tolist()
    moments = rows["event_timestamp"].dt.tz_localize(None).astype("datetime64[ms]").astype(np.int64)
    values = rows[list(view.columns)].to_numpy(np.float32)
    wanted = at_age(view, values, (END - moments).to_numpy(np.float64))
    got, _ = decode_rows(view, [store.get(row_key(KEYS, view, row)) for row in ids], END)
    assert wanted.any(axis=0).all(), "the log says nothing of a column"
    # Who did nothing that stands may have no row.
    np.testing.assert_allclose(np.nan_to_num(got), wanted, rtol=1e-4, atol=1e-6)
    assert {key.decode() for key in store.scan_iter(row_pattern(KEYS, view.name), count=1000)} <= {
        row_key(KEYS, view, row) for row in ids
    }


def test_display_counts_are_those_of_the_fold(store: redis.Redis) -> None:
    for (kind, owner), fold in EXPECTED.folds.items():
        counts = fold.tally()["counts"][0].tolist()
        if kind == TWEET:
            assert decode_tweet_counts(store.get(KEYS.counts(owner))) == TweetCounts(*counts)
        if kind == ACCOUNT:
            assert decode_account_counts(store.get(KEYS.account_counts(owner))) == AccountCounts(*counts[:3])


def test_rows_are_stamped_with_the_newest_event_behind_them(store: redis.Redis) -> None:
    for (kind, owner), fold in EXPECTED.folds.items():
        view = TALLIED[kind]
        _, moments = unpack_rows(view, [store.get(row_key(KEYS, view, [owner]))])
        assert moments[0] >= fold.tally()["version"][0]


def test_a_tweet_nobody_engaged_with_has_no_row(store: redis.Redis) -> None:
    assert store.get(row_key(KEYS, TWEET_ENGAGEMENT, [99])) is None
