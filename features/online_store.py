"""The Feast online store over Redis, in the layout of ``features.rows``.

A view whose features are all Float32 and whose join keys are Int64 takes the packed row, so that
``wide_read`` and ``get_online_features`` read the same bytes; any other view keeps its values in Feast's own
encoding (``features.stored_views``). Named in the repo's configuration by its class path.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from feast import Entity, FeatureStore, FeatureView, RepoConfig
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel
from numpy.typing import NDArray

from features.connections import by_partition, in_order, open_async_client, open_client, queue_reads
from features.layout import PrefixedKeys
from features.rows import (
    FloatMatrix,
    encode_rows,
    load_functions,
    put_encoded,
    put_rows,
    row_pattern,
)
from features.stored_views import PackedView, StoredView, WriteRow, stored_view

_CHUNK = 1000
_PACKED_CHUNK = 20_000

ReadRow = tuple[datetime | None, dict[str, Value] | None]


class TidelineOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """The ``online_store`` section of ``feature_store.yaml``.

    ``prefix`` begins every key and is the project's name unless given; ``prefixes`` are the views' with one
    of their own. ``partitions`` is fixed for the life of a store: keys carry ``{id mod partitions}`` as hash
    tag. ``now_ms`` fixes the moment against which rows age (recordings kept in their own time).
    """

    type: str = "features.online_store.TidelineOnlineStore"
    url: str = "redis://127.0.0.1:6379/0"
    cluster: bool = False
    partitions: int = 16
    prefix: str = ""
    prefixes: dict[str, str] = {}
    read_timeout_s: float = 5.0
    write_timeout_s: float = 30.0
    now_ms: int | None = None


class TidelineOnlineStore(OnlineStore):  # type: ignore[misc]
    """Versioned rows by entity: an older row never overwrites a newer one, a row past its ttl is not read."""

    rows_written: int = 0
    _client: Any = None
    _async_client: Any = None

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        return SupportedAsyncMethods(read=True, write=False)

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[WriteRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Upsert rows; naive event times are UTC. Retrying after an error is safe."""
        keys, client, view = row_keys(config), self._connect(config), stored_view(table)
        for start in range(0, len(data), _CHUNK):
            chunk = data[start : start + _CHUNK]
            places = [view.place(keys, entity) for entity, _, _, _ in chunk]
            blobs = view.encode(chunk)
            pipe = client.pipeline(transaction=False)
            for group in by_partition([partition for partition, _ in places]):
                rows = [(places[index][1], blobs[index]) for index in group]
                put_encoded(pipe, rows, keep_seconds=2 * view.ttl_seconds)
            pipe.execute()
            self.rows_written += len(chunk)
            if progress is not None:
                progress(len(chunk))

    def write_packed(
        self,
        config: RepoConfig,
        stored: PackedView,
        ids: NDArray[np.int64],
        times_ms: NDArray[np.int64],
        values: FloatMatrix,
    ) -> None:
        """Upsert rows given as arrays, as :meth:`online_write_batch` does.

        Args:
            ids: int64 [n, entities], in the order of the view's entities.
            times_ms: int64 [n], event times in ms UTC.
            values: float32 [n, columns]; NaN is missing.
        """
        keys, client = row_keys(config), self._connect(config)
        for start in range(0, len(ids), _PACKED_CHUNK):
            part = slice(start, start + _PACKED_CHUNK)
            pipe = client.pipeline(transaction=False)
            packed = encode_rows(stored, times_ms[part], values[part])
            put_rows(pipe, keys, stored, ids[part], packed)
            pipe.execute()
            self.rows_written += len(packed)

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[ReadRow]:
        """For each entity its event time and values; (None, None) where there is no row or it is stale."""
        view = stored_view(table)
        pipe = self._connect(config).pipeline(transaction=False)
        groups = _queue_reads(pipe, row_keys(config), view, entity_keys)
        return _rows(config, view, in_order(groups, pipe.execute()), requested_features)

    async def online_read_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[ReadRow]:
        """As :meth:`online_read`, on the running event loop."""
        view = stored_view(table)
        if self._async_client is None:
            store = config.online_store
            self._async_client = open_async_client(store.url, store.cluster, store.read_timeout_s)
        pipe = self._async_client.pipeline(transaction=False)
        groups = _queue_reads(pipe, row_keys(config), view, entity_keys)
        return _rows(config, view, in_order(groups, await pipe.execute()), requested_features)

    async def close(self) -> None:
        """Close the asynchronous connections."""
        if self._async_client is not None:
            await self._async_client.aclose()
            self._async_client = None

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Drop the rows of removed views; nothing else needs preparing."""
        if tables_to_delete:
            self._delete(config, tables_to_delete)

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Drop this namespace's rows of ``tables`` and disconnect."""
        self._delete(config, tables)
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect(self, config: RepoConfig) -> Any:
        if self._client is None:
            store = config.online_store
            client = open_client(store.url, store.cluster, store.write_timeout_s)
            load_functions(client)
            self._client = client
        return self._client

    def _delete(self, config: RepoConfig, tables: Sequence[FeatureView]) -> None:
        client, keys = self._connect(config), row_keys(config)
        for table in tables:
            pipe = client.pipeline(transaction=False)
            for row_key in client.scan_iter(match=row_pattern(keys, table.name), count=_CHUNK):
                pipe.unlink(row_key)
                if len(pipe) >= _CHUNK:
                    pipe.execute()
            pipe.execute()


def row_keys(config: RepoConfig) -> PrefixedKeys:
    """Where the rows of this store lie."""
    store = config.online_store
    prefixes = {f"feature:{view}": prefix for view, prefix in store.prefixes.items()}
    return PrefixedKeys(store.prefix or config.project, store.partitions, prefixes)


def packed_views(store: FeatureStore, service: str) -> list[PackedView]:
    """The views of a feature service, for ``features.rows.wide_read``.

    Raises:
        ValueError: a view is not kept packed.
    """
    names = [projection.name for projection in store.get_feature_service(service).feature_view_projections]
    views = [stored_view(store.get_feature_view(name)) for name in names]
    packed = [view for view in views if isinstance(view, PackedView)]
    if others := [view.name for view in views if not isinstance(view, PackedView)]:
        raise ValueError(
            f"{', '.join(others)} has features that are not Float32, or keys that are not Int64."
        )
    return packed


def _queue_reads(
    pipe: Any, keys: PrefixedKeys, view: StoredView, entity_keys: Sequence[EntityKey]
) -> list[Sequence[int]]:
    places = [view.place(keys, entity) for entity in entity_keys]
    return queue_reads(pipe, [key for _, key in places], [partition for partition, _ in places])


def _rows(
    config: RepoConfig, view: StoredView, blobs: Sequence[bytes | None], requested: list[str] | None
) -> list[ReadRow]:
    now_ms = config.online_store.now_ms or time.time_ns() // 1_000_000
    oldest_ms = now_ms - view.ttl_seconds * 1000 if view.ttl_seconds else 0
    rows: list[ReadRow] = []
    for row in view.decode(blobs, now_ms):
        if row is None or row[0] < oldest_ms:
            rows.append((None, None))
            continue
        ts_ms, values = row
        wanted = values if requested is None else {name: values[name] for name in requested if name in values}
        rows.append((datetime.fromtimestamp(ts_ms / 1000, tz=UTC), wanted))
    return rows
