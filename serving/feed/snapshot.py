"""Rankings kept for scrolling: the order stays as it was on the first page, whatever the scores do since."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.feed.candidates import Candidates, joined, objects
from serving.feed.query import FeedQuery
from serving.pipeline.stages import Selection
from timelines.keys import Keyspace

SNAPSHOT_VERSION = 2
FEATURE_PLACES = 200
"""Rows of features are most of what a ranking weighs, and few readers scroll past so many places."""

PACKED = {
    "appearance": "<i8",
    "author": "<i8",
    "original": "<i8",
    "original_author": "<i8",
    "is_retweet": "?",
    "source": "u1",
    "model_score": "<f8",
    "score": "<f8",
    "propensity": "<f8",
}
WIDE = {"probabilities": "<f8", "multipliers": "<f8", "features": "<f4"}


class Snapshot(msgspec.Struct, frozen=True):
    """A ranking as it was served, best first, ``candidates`` were chosen from.

    ``columns``: packed little-endian, one value per place; ``wide``: one row per place, with its width;
    ``features`` of the first places only.
    """

    v: int
    model: str
    as_of_ms: int
    candidates: int
    retweeters: list[tuple[int, ...]]
    columns: dict[str, bytes]
    wide: dict[str, tuple[int, bytes]]

    def table(self) -> Candidates:
        """The whole ranking; places beyond the kept features have missing values."""
        columns: dict[str, NDArray[Any]] = {
            name: np.frombuffer(self.columns[name], dtype=kind) for name, kind in PACKED.items()
        }
        n = len(self.retweeters)
        for name, kind in WIDE.items():
            width, packed = self.wide[name]
            rows = np.frombuffer(packed, dtype=kind).reshape(-1, width) if width else np.empty((n, 0))
            if len(rows) < n:
                rows = np.concatenate([rows, np.full((n - len(rows), width), np.nan, dtype=kind)])
            columns[name] = rows
        return Candidates.of(
            **columns,
            retweeters=objects(tuple(some) for some in self.retweeters),
            rank=np.arange(n),
        )


class SnapshotGoneError(LookupError):
    """The ranking that a cursor continues is kept no longer."""


@dataclass(frozen=True)
class Snapshots:
    """Kept in Redis for ``seconds``, under reader and request id."""

    redis: Any
    keys: Keyspace
    seconds: int

    def _key(self, reader: int, request_id: str) -> str:
        return self.keys.key("ranking", reader, int(request_id, 16))

    async def keep(self, reader: int, request_id: str, snapshot: Snapshot) -> None:
        await self.redis.set(
            self._key(reader, request_id), msgspec.msgpack.encode(snapshot), px=self.seconds * 1000
        )

    async def read(self, reader: int, request_id: str) -> Snapshot:
        """
        Raises:
            SnapshotGoneError: expired, or of another version.
        """
        stored = await self.redis.get(self._key(reader, request_id))
        if stored is None:
            raise SnapshotGoneError(request_id)
        try:
            return msgspec.msgpack.decode(stored, type=Snapshot)
        except msgspec.DecodeError:
            raise SnapshotGoneError(request_id) from None


def snapshot_of(model: str, as_of_ms: int, candidates: int, ranked: Candidates) -> Snapshot:
    """The ranking of ``ranked``, best first; ``candidates`` is how many it was chosen from."""
    wide = {name: getattr(ranked, name) for name in WIDE}
    wide["features"] = wide["features"][:FEATURE_PLACES]
    return Snapshot(
        SNAPSHOT_VERSION,
        model,
        as_of_ms,
        candidates,
        ranked.retweeters.tolist(),
        {name: getattr(ranked, name).astype(kind).tobytes() for name, kind in PACKED.items()},
        {name: (rows.shape[1], rows.astype(WIDE[name]).tobytes()) for name, rows in wide.items()},
    )


@dataclass(frozen=True)
class KeepRanking:
    """Keeps the ranking for the pages that follow; one page that is all needs none."""

    snapshots: Snapshots = field(repr=False)
    model: str
    name: str = "keep_ranking"

    async def keep(self, query: FeedQuery, selection: Selection[Candidates]) -> None:
        if len(selection.rest):
            whole = joined([selection.selected, selection.rest])
            snapshot = snapshot_of(self.model, query.now_ms, len(whole), whole)
            await self.snapshots.keep(query.reader, query.request_id, snapshot)


@dataclass(frozen=True)
class KeptRanking:
    """Source: what is left of a kept ranking, in its order."""

    snapshot: Snapshot = field(repr=False)
    name: str = "kept_ranking"

    async def fetch(self, query: FeedQuery) -> Candidates:
        whole = self.snapshot.table()
        return whole.take(np.arange(query.offset, len(whole)))
