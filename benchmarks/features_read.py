"""Reading a ranking's features, beside Feast's stock Redis store with the same definitions.

500 candidates of one reader, 45 features over three views (tweet, author, reader and author), every one a row
of its own. Ours is the wide read that serving uses: arrays of ids in, a matrix out. The baseline is Feast's
``get_online_features``, given its entities by column and its answer left as it is; ``feast_p50_ms`` is the
same call over our store. ``cpu_ms`` is the work of the reading process, which a busy machine disturbs less.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RegistryConfig
from feast.types import Float32, Int64
from feast.value_type import ValueType
from numpy.typing import NDArray

from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.store import running_store
from features.online_store import packed_views, row_keys
from features.rows import WideRead, wide_read
from timelines.client import open_async_client
from timelines.settings import RedisSettings

SHAPES = {"tweet": (("tweet",), 20), "author": (("author",), 13), "affinity": (("reader", "author"), 12)}
CANDIDATES, READERS = 500, 4
READS, FEAST_READS, WARM_READS = 400, 20, 20
SERVICE = "candidates"

Ids = Mapping[str, NDArray[np.int64]]


@dataclass
class Clock:
    """How long each read took, and how much of that the reading process worked; both in seconds."""

    wall: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)

    @contextmanager
    def timed(self) -> Iterator[None]:
        started, worked = time.perf_counter(), time.process_time()
        yield
        self.wall.append(time.perf_counter() - started)
        self.worked.append(time.process_time() - worked)

    def figures(self, prefix: str, warm: int) -> dict[str, float]:
        """Without the first ``warm`` reads."""
        p50, p99 = np.percentile(np.array(self.wall[warm:]) * 1000, [50, 99])
        cpu_ms = float(np.median(self.worked[warm:])) * 1000
        return {
            f"{prefix}p50_ms": float(p50),
            f"{prefix}p99_ms": float(p99),
            f"{prefix}cpu_ms": cpu_ms,
            f"{prefix}reads_per_s": 1000 / float(p50),
            f"{prefix}reads_per_cpu_s": 1000 / cpu_ms,
        }


@dataclass(frozen=True)
class Ranking:
    """Feature stores over one server, filled alike, and what each reader's ranking asks for."""

    address: RedisSettings
    ours: FeatureStore
    stock: FeatureStore
    asked: Sequence[Ids]

    def refuse_if_they_differ(self) -> None:
        """Whether both stores say the same of the first reader's candidates."""
        read = asyncio.run(self._wide_reads(Clock(), 1))
        service = self.stock.get_feature_service(SERVICE)
        values = self.stock.get_online_features(service, _columns(self.asked[0])).to_dict()
        columns = [values[column] for view in packed_views(self.ours, SERVICE) for column in view.columns]
        if not np.array_equal(read.matrix, np.array(columns, dtype=np.float32).T):
            raise BenchmarkRefusedError("The wide read and Feast's store answer different values.")

    def measure_ours(self) -> Figures:
        wide = Clock()
        asyncio.run(self._wide_reads(wide, WARM_READS + READS))
        return wide.figures("", WARM_READS) | self._feast_reads(self.ours).figures("feast_", READERS)

    def measure_stock(self) -> Figures:
        return self._feast_reads(self.stock).figures("", READERS)

    async def _wide_reads(self, clock: Clock, number: int) -> WideRead:
        """Reads for the readers in turn; the last answer."""
        client = open_async_client(self.address, timeout_s=30)
        keys, views = row_keys(self.ours.config), packed_views(self.ours, SERVICE)
        now_ms = time.time_ns() // 1_000_000
        try:
            for turn in range(number):
                with clock.timed():
                    read = await wide_read(client, keys, views, self.asked[turn % READERS], now_ms)
            return read
        finally:
            await client.aclose()

    def _feast_reads(self, store: FeatureStore) -> Clock:
        service, clock = store.get_feature_service(SERVICE), Clock()
        columns = [_columns(ids) for ids in self.asked]
        for turn in range(READERS + FEAST_READS):
            with clock.timed():
                store.get_online_features(service, columns[turn % READERS])
        return clock


def _columns(ids: Ids) -> dict[str, list[int]]:
    return {name: column.tolist() for name, column in ids.items()}


def _definitions() -> list[Entity | FeatureView | FeatureService]:
    entities = {
        name: Entity(name=name, join_keys=[name], value_type=ValueType.INT64)
        for name in ("tweet", "author", "reader")
    }
    views = [
        FeatureView(
            name=name,
            entities=[entities[key] for key in keys],
            schema=[
                *(Field(name=key, dtype=Int64) for key in keys),
                *(Field(name=f"{name}_{number}", dtype=Float32) for number in range(width)),
            ],
            ttl=timedelta(days=30),
            source=FileSource(name=f"{name}_rows", path="unused.parquet", timestamp_field="event_timestamp"),
        )
        for name, (keys, width) in SHAPES.items()
    ]
    return [*entities.values(), *views, FeatureService(name=SERVICE, features=views)]


def _open(folder: Path, name: str, online_store: dict[str, Any]) -> FeatureStore:
    """A registry that is read once and kept."""
    config = RepoConfig(
        project=f"bench_{name}",
        provider="local",
        registry=RegistryConfig(path=str(folder / f"{name}.db"), cache_ttl_seconds=0),
        online_store=online_store,
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    store.apply(_definitions())
    return store


def _fill(stores: Sequence[FeatureStore], asked: Sequence[Ids]) -> None:
    rng, now = np.random.default_rng(7), datetime.now(UTC)
    for name, (keys, width) in SHAPES.items():
        rows = []
        for line in zip(*(np.concatenate([ids[key] for ids in asked]).tolist() for key in keys), strict=True):
            entity = EntityKey(join_keys=keys, entity_values=[Value(int64_val=value) for value in line])
            numbers = rng.random(width, dtype=np.float32).tolist()
            values = {f"{name}_{place}": Value(float_val=number) for place, number in enumerate(numbers)}
            rows.append((entity, values, now, None))
        for store in stores:
            store.provider.online_write_batch(store.config, store.get_feature_view(name), rows, None)


@contextmanager
def trial() -> Iterator[Trial]:
    """A server of its own, without persistence.

    Raises:
        BenchmarkRefusedError: the two stores answer different values.
    """
    ids = np.random.default_rng(1).permutation(1 << 20)[: 2 * READERS * CANDIDATES].reshape(2, READERS, -1)
    asked = [
        {
            "tweet": ids[0, reader] + (1 << 60),
            "author": ids[1, reader] + 1,
            "reader": np.full(CANDIDATES, reader + 1, dtype=np.int64),
        }
        for reader in range(READERS)
    ]
    with running_store() as address, tempfile.TemporaryDirectory(prefix="tideline-bench-") as folder:
        ours = {
            "type": "features.online_store.TidelineOnlineStore",
            "url": address.url,
            "partitions": address.partitions,
        }
        stock = {"type": "redis", "connection_string": urlsplit(address.url).netloc}
        stores = _open(Path(folder), "ours", ours), _open(Path(folder), "stock", stock)
        _fill(stores, asked)
        ranking = Ranking(address, *stores, asked)
        ranking.refuse_if_they_differ()
        yield Trial(
            "features-read",
            ranking.measure_ours,
            baseline=ranking.measure_stock,
            ratio=("reads_per_s", "reads_per_s"),
            more_ratios={
                "ratio_cpu": ("reads_per_cpu_s", "reads_per_cpu_s"),
                "ratio_feast_api": ("feast_reads_per_s", "reads_per_s"),
            },
        )
