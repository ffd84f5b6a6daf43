"""Feast over our stores: point-in-time joins on Spark, materialization and online reads on Valkey."""

from __future__ import annotations

import asyncio
import itertools
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

from features.labels import LABELS
from features.names import CONTEXT_FEATURES, FEATURE_SERVICE, MODEL_INPUT, VIEWS, View
from features.settings import FeatureSettings, FeatureStoreSettings
from timelines.settings import RedisSettings

pytestmark = [pytest.mark.spark, pytest.mark.valkey]

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SPARK_VIEWS = [view for view in VIEWS if view.engine == "spark"]
# Rows at one moment whose ids run into each other when written one after another: 1|23 and 12|3.
ENTITIES = {"user": [1, 12, 2], "author": [23, 3, 5], "tweet": [700, 800, 900]}
_namespaces = itertools.count()


@pytest.fixture
def settings(spark: Any, valkey: str, tmp_path: Path) -> FeatureStoreSettings:
    return FeatureStoreSettings(
        namespace=f"feast{next(_namespaces)}",
        redis=RedisSettings(url=valkey, partitions=4),
        features=FeatureSettings(offline=tmp_path / "offline", registry=tmp_path / "feast" / "registry.db"),
    )


def offline_rows(view: View, seed: int, first: int = 0, last: int = 48) -> pd.DataFrame:
    """Hourly rows, with gaps, of every combination of the view's entities."""
    rng = np.random.default_rng(seed)
    keys = list(itertools.product(*(ENTITIES[name] for name in view.entities)))
    rows = [
        (*key, NOW - timedelta(hours=48) + timedelta(hours=hour))
        for key in keys
        for hour in range(first, last)
        if rng.random() < 0.3
    ]
    frame = pd.DataFrame(rows, columns=[*view.entities, "event_timestamp"])
    for column in view.columns:
        values = rng.integers(0, 1000, len(frame)).astype(np.float32)
        frame[column] = np.where(rng.random(len(frame)) < 0.1, np.float32("nan"), values)
    # Microseconds: the precision that Spark writes.
    stamps = frame["event_timestamp"].astype("datetime64[us, UTC]")
    return frame.assign(event_timestamp=stamps, created=stamps)


def write_offline(settings: FeatureStoreSettings, **span: int) -> dict[str, pd.DataFrame]:
    from features.store import offline_folder

    frames = {}
    for seed, view in enumerate(VIEWS):
        folder = offline_folder(settings) / view.name
        folder.mkdir(parents=True, exist_ok=True)
        frames[view.name] = offline_rows(view, seed, **span)
        frames[view.name].to_parquet(folder / "part-0.parquet")
    return frames


def examples(count: int = 40) -> pd.DataFrame:
    """Moments on the hour and between, two of them before any row."""
    rng = np.random.default_rng(9)
    hours = rng.integers(-50 * 4, 0, count) / 4
    hours[:2] = -60
    frame = pd.DataFrame({name: rng.choice(ids, count) for name, ids in ENTITIES.items()})
    moments = pd.to_datetime([NOW + timedelta(hours=float(hour)) for hour in hours], utc=True)
    frame["event_timestamp"] = moments.astype("datetime64[us, UTC]")
    frame["request_id"] = [f"r{number}" for number in range(count)]
    frame["position"] = 0
    for feature in CONTEXT_FEATURES:
        frame[feature.name] = np.float32(1)
    return frame.assign(**{column: np.float32(0) for column in LABELS.values()})


def newest(view: View, rows: pd.DataFrame, line: Any) -> list[float]:
    """The values a plain look through the rows finds at the moment of one example."""
    found = rows
    for name in view.entities:
        found = found[found[name] == getattr(line, name)]
    found = found[found.event_timestamp <= line.event_timestamp].sort_values("event_timestamp")
    if found.empty or line.event_timestamp - found.event_timestamp.iloc[-1] > timedelta(days=view.ttl_days):
        return [float("nan")] * len(view.columns)
    age_s = (line.event_timestamp - found.event_timestamp.iloc[-1]).total_seconds()
    return [
        float(found[feature.name].iloc[-1]) * math.exp(-age_s / feature.decay_s if feature.decay_s else 0.0)
        for feature in view.features
    ]


def stored_rows(settings: FeatureStoreSettings) -> dict[bytes, tuple[bytes, bool]]:
    """Each feature row in the store, and whether it expires."""
    with redis.Redis.from_url(settings.redis.url) as client:
        return {
            key: (client.get(key), client.ttl(key) > 0)
            for key in client.scan_iter(f"{settings.namespace}:feature:*")
        }


def test_historical_features_are_the_newest_rows_at_each_moment(settings: FeatureStoreSettings) -> None:
    from features.historical import training_frame
    from features.store import apply_repo, offline_folder, open_store

    frames = write_offline(settings)
    asked = examples()
    folder = offline_folder(settings) / "training_examples"
    folder.mkdir()
    pages = pa.Table.from_pandas(asked, preserve_index=False)
    pages = pages.append_column("feature_service", pa.nulls(len(asked), pa.string()))
    pages = pages.append_column("logged_features", pa.nulls(len(asked), pa.list_(pa.float64())))
    pq.write_table(pages, folder / "part-0.parquet")
    (folder / "_SUCCESS").touch()
    apply_repo(open_store(settings), settings)

    frame = training_frame(settings).set_index("request_id").loc[asked.request_id]
    stored = [name for view in VIEWS for name in view.columns]
    expected = [
        [value for view in VIEWS for value in newest(view, frames[view.name], line)]
        for line in asked.itertuples()
    ]
    wanted = np.array(expected, dtype=np.float32)
    np.testing.assert_allclose(frame[stored].to_numpy(), wanted, rtol=1e-6, atol=1e-30)
    assert set(MODEL_INPUT) <= set(frame.columns)
    assert frame[stored].isna().any().any()


def test_the_join_gives_what_feasts_own_join_gives(spark: Any, settings: FeatureStoreSettings) -> None:
    from feast.infra.offline_stores.contrib.spark_offline_store.spark import SparkOfflineStore

    from features.store import apply_repo, open_store

    write_offline(settings)
    store = open_store(settings)
    apply_repo(store, settings)
    # One example a moment: Feast's own join mixes pairs such as (1, 23) and (12, 3) of one moment.
    asked = examples().drop_duplicates("event_timestamp")
    service = store.get_feature_service(FEATURE_SERVICE)
    views = [view for view in store.list_feature_views() if view.name in {known.name for known in VIEWS}]
    refs = [f"{view.name}:{name}" for view in VIEWS for name in view.columns]
    stock = SparkOfflineStore.get_historical_features(
        store.config, views, refs, asked.copy(), store.registry, store.project
    ).to_df()
    ours = store.get_historical_features(entity_df=asked, features=service).to_df()
    # Feast knows nothing of values that decay.
    columns = [feature.name for view in VIEWS for feature in view.features if feature.decay_s is None]
    left, right = (frame.set_index("request_id").sort_index()[columns] for frame in (ours, stock))
    np.testing.assert_array_equal(left.to_numpy(dtype=np.float32), right.to_numpy(dtype=np.float32))


def test_examples_without_a_join_key_are_refused_by_name(settings: FeatureStoreSettings) -> None:
    from features.store import apply_repo, open_store

    write_offline(settings)
    store = open_store(settings)
    apply_repo(store, settings)
    with pytest.raises(ValueError, match="lack the join keys author, tweet"):
        store.get_historical_features(
            entity_df=examples()[["user", "event_timestamp"]],
            features=store.get_feature_service(FEATURE_SERVICE),
        )


def test_materialized_rows_read_the_same_through_feast_and_through_the_wide_read(
    settings: FeatureStoreSettings,
) -> None:
    import redis.asyncio

    from features.rows import wide_read
    from features.store import apply_repo, materialize, open_store
    from timelines.keys import Keyspace

    frames = write_offline(settings)
    now_ms = int(NOW.timestamp() * 1000)
    store = open_store(settings, now_ms)
    apply_repo(store, settings)
    written = materialize(store, settings, NOW, lambda view: None)
    assert {view.name: view.rows for view in written} == {
        view.name: len(frames[view.name].drop_duplicates(list(view.entities))) for view in SPARK_VIEWS
    }

    lines = list(itertools.product(*ENTITIES.values()))
    ids = {name: np.array([line[place] for line in lines]) for place, name in enumerate(ENTITIES)}

    async def read() -> Any:
        client = redis.asyncio.Redis.from_url(settings.redis.url)
        try:
            return await wide_read(client, Keyspace(settings.namespace, 4), SPARK_VIEWS, ids, now_ms)
        finally:
            await client.aclose()

    wide = asyncio.run(read())
    rows = [dict(zip(ENTITIES, line, strict=True)) for line in lines]
    online = store.get_online_features(
        features=store.get_feature_service(FEATURE_SERVICE), entity_rows=rows
    ).to_df()
    columns = [name for view in SPARK_VIEWS for name in view.columns]
    np.testing.assert_array_equal(online[columns].to_numpy(dtype=np.float32), wide.matrix)
    asked = pd.DataFrame(rows).assign(event_timestamp=pd.Timestamp(NOW))
    expected = [
        [value for view in SPARK_VIEWS for value in newest(view, frames[view.name], line)]
        for line in asked.itertuples()
    ]
    np.testing.assert_array_equal(wide.matrix, np.array(expected, dtype=np.float32))
    # Rows of the stream's view are the stream's to write.
    assert online["tweet_likes"].isna().all()


def test_packed_materialization_writes_what_feasts_own_engine_writes(
    settings: FeatureStoreSettings,
) -> None:
    from feast import FeatureStore

    from features.store import apply_repo, materialize, open_store

    write_offline(settings)
    written = []
    for engine in ("features.materialization.TidelineComputeEngine", "local"):
        config = open_store(settings).config
        config.batch_engine_config = {"type": engine}
        store = FeatureStore(config=config)
        apply_repo(store, settings)
        materialize(store, settings, NOW, lambda view: None, full=True)
        written.append(stored_rows(settings))
        store.teardown()
        assert not stored_rows(settings)
    packed, by_feast = written
    assert packed == by_feast
    assert len(packed) > len(SPARK_VIEWS)


def test_a_second_materialization_writes_only_what_is_newer(settings: FeatureStoreSettings) -> None:
    from features.store import apply_repo, materialize, open_store

    write_offline(settings, last=24)
    store = open_store(settings)
    apply_repo(store, settings)
    materialize(store, settings, NOW - timedelta(hours=24), lambda view: None)
    again = materialize(store, settings, NOW - timedelta(hours=24, minutes=-1), lambda view: None)
    assert {view.rows for view in again} == {0}
    frames = write_offline(settings, first=25)
    later = materialize(store, settings, NOW, lambda view: None)
    assert {view.name: view.rows for view in later} == {
        view.name: len(frames[view.name].drop_duplicates(list(view.entities))) for view in SPARK_VIEWS
    }


def test_after_the_store_was_lost_a_full_materialization_brings_every_entity_back(
    settings: FeatureStoreSettings,
) -> None:
    from features.store import apply_repo, materialize, open_store

    write_offline(settings)
    store = open_store(settings)
    apply_repo(store, settings)
    first = materialize(store, settings, NOW, lambda view: None)
    again = materialize(store, settings, NOW, lambda view: None, full=True)
    assert [view.rows for view in again] == [view.rows for view in first]


def test_materializing_before_building_says_what_to_run(settings: FeatureStoreSettings) -> None:
    from features.store import OfflineRowsMissingError, apply_repo, materialize, open_store

    store = open_store(settings)
    with pytest.raises(OfflineRowsMissingError, match="run `tideline features apply` first"):
        materialize(store, settings, NOW, lambda view: None)
    apply_repo(store, settings)
    with pytest.raises(OfflineRowsMissingError, match="run `tideline features build` first"):
        materialize(store, settings, NOW, lambda view: None)
