"""Brings what readers are interested in from the offline store to the store that serves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from features.settings import HasFeatureStore
from features.store import MaterializedView, OfflineRowsMissingError, offline_folder
from timelines import interests
from timelines.client import open_client
from timelines.keys import Keyspace

READER_INTERESTS = "reader_interests"
"""The offline table: one row per reader, of the newest build alone."""
AT_ONCE = 2_000
"""Readers of one pipeline."""


def materialize_interests(settings: HasFeatureStore) -> MaterializedView:
    """Write the table of these settings' namespace to their store.

    Raises:
        OfflineRowsMissingError: it was not built yet.
        redis.exceptions.RedisError: the store does not answer.
    """
    folder = offline_folder(settings) / READER_INTERESTS
    if not folder.is_dir():
        raise OfflineRowsMissingError(
            f"There are no offline rows of {READER_INTERESTS}: run `tideline features build` first."
        )
    started = time.monotonic()
    client = open_client(settings.redis, timeout_s=30, connect_timeout_s=10, retries=3)
    try:
        rows = write_interests(folder, client, Keyspace.of(settings))
    finally:
        client.close()
    return MaterializedView(READER_INTERESTS, rows, time.monotonic() - started)


def write_interests(folder: Path, client: Any, keys: Keyspace) -> int:
    """Write the table in ``folder`` through a synchronous redis-py client; how many readers it has.

    Writing again changes nothing, and an earlier build replaces no later one.
    """
    written = 0
    # Spark leaves files of its own beside the rows.
    table = ds.dataset(sorted(map(str, folder.glob("*.parquet"))), format="parquet")
    columns = ["user", "similar", "topics", "weights", "event_timestamp"]
    for batch in table.to_batches(columns=columns, batch_size=AT_ONCE):
        pipe = client.pipeline(transaction=False)
        interests.put(pipe, keys, batch.column("user").to_numpy(), _values(batch))
        pipe.execute()
        written += len(batch)
    return written


def _values(batch: pa.RecordBatch) -> list[bytes]:
    moments = batch.column("event_timestamp").cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_pylist()
    lists = (batch.column(name).to_pylist() for name in ("similar", "topics", "weights"))
    return [interests.encode(*row) for row in zip(moments, *lists, strict=True)]
