"""What our online store does beyond Feast's documented behaviour, on a real Valkey server and a cluster."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("feast")

from feast import Entity, FeatureView, Field, FileSource, RepoConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Float32, Int32, Int64, String
from feast.value_type import ValueType

from features.feature_views import feature_objects
from features.layout import PrefixedKeys
from features.names import ONLINE_VIEWS, VIEWS
from features.online_store import TidelineOnlineStore, row_keys
from features.rows import wide_read
from features.stored_views import DECAY_TAG, PackedView, stored_view
from timelines.client import open_async_client, open_client
from timelines.settings import RedisSettings

pytestmark = pytest.mark.valkey
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
PARTITIONS = 4
_namespaces = itertools.count()


@dataclass
class StoreUnderTest:
    store: TidelineOnlineStore
    config: RepoConfig
    client: Any

    @property
    def keys(self) -> PrefixedKeys:
        return row_keys(self.config)

    def write(self, table: FeatureView, *rows: tuple[EntityKey, dict[str, Value], datetime]) -> None:
        self.store.online_write_batch(self.config, table, [(*row, None) for row in rows], None)

    def read(self, table: FeatureView, *entities: EntityKey, features: list[str] | None = None) -> list[Any]:
        return self.store.online_read(self.config, table, list(entities), features)

    def row_count(self) -> int:
        return len(list(self.client.scan_iter(match=f"{self.keys.prefix}:*")))


@pytest.fixture(params=["valkey", "valkey_cluster"])
def online(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreUnderTest]:
    url, cluster = request.getfixturevalue(request.param), request.param == "valkey_cluster"
    namespace = f"online{next(_namespaces)}"
    config = RepoConfig(
        project=namespace,
        provider="local",
        registry=str(tmp_path / "registry.db"),
        online_store={
            "type": "features.online_store.TidelineOnlineStore",
            "url": url,
            "cluster": cluster,
            "partitions": PARTITIONS,
            "now_ms": NOW_MS,
        },
        entity_key_serialization_version=3,
    )
    client = open_client(
        RedisSettings(url=url, cluster=cluster), timeout_s=10, connect_timeout_s=10, retries=0
    )
    yield StoreUnderTest(TidelineOnlineStore(), config, client)
    client.close()


def feature_view(
    name: str,
    join_keys: Sequence[str],
    features: dict[str, Any],
    key_type: Any = Int64,
    ttl: timedelta | None = timedelta(days=1),
    lifetimes: Mapping[str, float] = MappingProxyType({}),
) -> FeatureView:
    values = {Int64: ValueType.INT64, String: ValueType.STRING}
    tags = {feature: {DECAY_TAG: str(seconds)} for feature, seconds in lifetimes.items()}
    return FeatureView(
        name=name,
        entities=[Entity(name=key, join_keys=[key], value_type=values[key_type]) for key in join_keys],
        schema=[
            *(Field(name=key, dtype=key_type) for key in join_keys),
            *(Field(name=name, dtype=dtype, tags=tags.get(name, {})) for name, dtype in features.items()),
        ],
        ttl=ttl,
        source=FileSource(name=f"{name}_source", path="unused.parquet", timestamp_field="event_timestamp"),
    )


def entity(**ids: int) -> EntityKey:
    return EntityKey(join_keys=list(ids), entity_values=[Value(int64_val=value) for value in ids.values()])


def floats(**values: float) -> dict[str, Value]:
    return {name: Value(float_val=value) for name, value in values.items()}


VOCABULARY = {item.name: item for item in feature_objects(Path("unused")) if isinstance(item, FeatureView)}
NUMERIC = feature_view("numeric", ["user"], {"a": Float32, "b": Float32})
ENCODED = feature_view("encoded", ["user"], {"a": Float32, "n": Int64, "s": String})


@pytest.fixture(params=[NUMERIC, ENCODED], ids=["packed", "encoded"])
def table(request: pytest.FixtureRequest) -> FeatureView:
    view: FeatureView = request.param
    return view


def test_what_was_written_is_read_in_the_order_asked_for(online: StoreUnderTest, table: FeatureView) -> None:
    online.write(
        table, *((entity(user=user), floats(a=user + 0.5), NOW - timedelta(hours=user)) for user in range(20))
    )
    rows = online.read(table, entity(user=7), entity(user=3), entity(user=7))
    assert [when for when, _ in rows] == [NOW - timedelta(hours=hours) for hours in (7, 3, 7)]
    assert [values["a"].float_val for _, values in rows] == [7.5, 3.5, 7.5]


def test_no_entities_read_as_no_rows(online: StoreUnderTest, table: FeatureView) -> None:
    assert online.read(table) == []


def test_a_row_past_its_ttl_is_not_read(online: StoreUnderTest, table: FeatureView) -> None:
    online.write(
        table,
        (entity(user=1), floats(a=1.0), NOW - timedelta(days=1)),
        (entity(user=2), floats(a=2.0), NOW - timedelta(days=1, milliseconds=1)),
    )
    fresh, stale = online.read(table, entity(user=1), entity(user=2))
    assert fresh[1]["a"].float_val == 1.0
    assert stale == (None, None)


def test_without_a_ttl_a_row_is_read_for_ever(online: StoreUnderTest) -> None:
    table = feature_view("timeless", ["user"], {"a": Float32}, ttl=timedelta(0))
    online.write(table, (entity(user=1), floats(a=1.0), NOW - timedelta(days=5000)))
    assert online.read(table, entity(user=1))[0][1]["a"].float_val == 1.0


def test_a_naive_event_time_is_utc(online: StoreUnderTest, table: FeatureView) -> None:
    online.write(table, (entity(user=1), floats(a=1.0), NOW.replace(tzinfo=None)))
    assert online.read(table, entity(user=1))[0][0] == NOW


def test_progress_counts_the_rows_written(online: StoreUnderTest, table: FeatureView) -> None:
    counted: list[int] = []
    data = [(entity(user=user), floats(a=1.0), NOW, None) for user in range(2500)]
    online.store.online_write_batch(online.config, table, data, counted.append)
    assert sum(counted) == 2500


def test_a_view_is_stored_as_the_vocabulary_says() -> None:
    for view in (*VIEWS, *ONLINE_VIEWS):
        assert stored_view(VOCABULARY[view.name]) == PackedView(
            view.name, view.entities, view.columns, view.ttl_seconds, view.lifetimes_s
        )


@pytest.mark.parametrize(
    "features",
    [{"b": Float32, "a": Float32}, {"a": Float32, "c": Float32}, {"a": Float32}],
    ids=["another order", "another name", "one feature less"],
)
def test_a_packed_row_of_another_schema_is_missing_until_it_is_written_again(
    online: StoreUnderTest, features: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    online.write(NUMERIC, (entity(user=1), floats(a=1.0, b=2.0), NOW))
    changed = feature_view("numeric", ["user"], features)
    assert online.read(changed, entity(user=1), entity(user=2)) == [(None, None), (None, None)]
    assert "1 rows of numeric were written for another schema" in caplog.text
    # Older than the row that is there, which is none by this schema.
    online.write(changed, (entity(user=1), floats(a=3.0), NOW - timedelta(hours=1)))
    [(when, values)] = online.read(changed, entity(user=1))
    assert when == NOW - timedelta(hours=1)
    assert values["a"].float_val == 3.0


def test_of_an_encoded_row_of_another_schema_the_features_that_stayed_are_read(
    online: StoreUnderTest,
) -> None:
    row = {"a": Value(float_val=1.0), "n": Value(int64_val=7), "s": Value(string_val="x")}
    online.write(ENCODED, (entity(user=1), row, NOW))
    changed = feature_view("encoded", ["user"], {"a": Float32, "n": Int32, "new": String})
    [(when, values)] = online.read(changed, entity(user=1))
    assert when == NOW
    assert values == {"a": Value(float_val=1.0), "n": Value(), "new": Value()}


def test_the_newest_event_stays_however_many_write_at_once(
    online: StoreUnderTest, table: FeatureView
) -> None:
    # Each of eight writers has the events of ten entities in an order of its own.
    def write(seed: int) -> None:
        writer = StoreUnderTest(TidelineOnlineStore(), online.config, None)
        for minute in np.random.default_rng(seed).permutation(40).tolist():
            moment = NOW - timedelta(minutes=minute, milliseconds=seed)
            rows = [(entity(user=user), floats(a=float(100 * seed + minute)), moment) for user in range(10)]
            writer.write(table, *rows)
        writer.store.teardown(online.config, [], [])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    rows = online.read(table, *(entity(user=user) for user in range(10)))
    assert {(when, values["a"].float_val) for when, values in rows} == {(NOW, 0.0)}


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (
            EntityKey(join_keys=["user"], entity_values=[Value(string_val="7")]),
            "user of .* is int64, not string",
        ),
        (EntityKey(join_keys=["user"], entity_values=[Value()]), "user of .* is int64, not null"),
        (EntityKey(join_keys=["author"], entity_values=[Value(int64_val=7)]), "are user, not author"),
        (EntityKey(join_keys=[], entity_values=[]), "are user, not none"),
    ],
    ids=["another type", "null", "another key", "no key"],
)
def test_a_wrong_key_is_refused_in_one_sentence(
    online: StoreUnderTest, table: FeatureView, key: EntityKey, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        online.read(table, key)
    with pytest.raises(ValueError, match=sentence):
        online.write(table, (key, floats(a=1.0), NOW))
    assert online.row_count() == 0


def test_a_value_that_a_packed_row_cannot_hold_is_refused(online: StoreUnderTest) -> None:
    with pytest.raises(ValueError, match="feature a of numeric is float, not string"):
        online.write(NUMERIC, (entity(user=1), {"a": Value(string_val="1.0")}, NOW))


def test_a_feature_tagged_with_a_lifetime_reads_as_what_is_left_of_it(online: StoreUnderTest) -> None:
    table = feature_view("decaying", ["user"], {"a": Float32, "b": Float32}, lifetimes={"b": 3600.0})
    online.write(table, (entity(user=1), floats(a=8.0, b=8.0), NOW - timedelta(hours=1)))
    [(_, values)] = online.read(table, entity(user=1))
    assert values["a"].float_val == 8.0
    assert values["b"].float_val == pytest.approx(8.0 / np.e)


def test_a_lifetime_where_rows_cannot_be_packed_is_refused() -> None:
    with pytest.raises(ValueError, match="decay_s takes Float32 features"):
        stored_view(feature_view("mixed", ["user"], {"a": Float32, "s": String}, lifetimes={"a": 60.0}))


def test_teardown_leaves_no_row_of_the_namespace_and_none_of_another_missing(online: StoreUnderTest) -> None:
    online.write(NUMERIC, *((entity(user=user), floats(a=1.0), NOW) for user in range(50)))
    neighbour = f"{online.keys.prefix}0:feature:numeric:{{1}}:1"
    online.client.set(neighbour, b"row")
    online.store.teardown(online.config, [NUMERIC, ENCODED], [])
    assert online.row_count() == 0
    assert online.client.get(neighbour) == b"row"


def test_the_wide_read_and_feast_read_the_same_values(online: StoreUnderTest) -> None:
    rng = np.random.default_rng(5)
    count = 60
    ids = {
        "user": rng.integers(1, 4, count),
        "author": rng.integers(1, 20, count),
        "tweet": rng.integers(1, 2**50, count),
    }
    tables = [VOCABULARY[view.name] for view in VIEWS]
    for view, table in zip(VIEWS, tables, strict=True):
        for line in range(0, count, 2):
            key = entity(**{name: int(ids[name][line]) for name in view.entities})
            numbers = [None if rng.random() < 0.2 else float(rng.random()) for _ in view.columns]
            values = {
                name: Value() if number is None else Value(float_val=number)
                for name, number in zip(view.columns, numbers, strict=True)
            }
            # Some of the rows are stale.
            online.write(table, (key, values, NOW - timedelta(days=int(rng.integers(0, 40)))))

    store = online.config.online_store
    address = RedisSettings(url=store.url, cluster=store.cluster)

    async def read() -> Any:
        client = open_async_client(address, timeout_s=10)
        try:
            return await wide_read(client, online.keys, VIEWS, ids, NOW_MS)
        finally:
            await client.aclose()

    wide = asyncio.run(read())
    start = 0
    for place, (view, table) in enumerate(zip(VIEWS, tables, strict=True)):
        keys = [entity(**{name: int(ids[name][line]) for name in view.entities}) for line in range(count)]
        rows = online.read(table, *keys)
        expected = np.full((count, len(view.columns)), np.nan, dtype=np.float32)
        for line, (_, values) in enumerate(rows):
            for column, name in enumerate(view.columns):
                if values is not None and values[name].WhichOneof("val"):
                    expected[line, column] = values[name].float_val
        stop = start + len(view.columns)
        np.testing.assert_array_equal(wide.matrix[:, start:stop], expected)
        assert wide.present[:, place].tolist() == [when is not None for when, _ in rows]
        start = stop
    assert wide.present.any()
    assert not wide.present.all()
    assert np.isfinite(wide.age_seconds[~wide.present]).any()
