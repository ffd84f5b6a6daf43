"""Rankings kept for scrolling: the order stays as it was on the first page, whatever the scores do since."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.experiments.assignment import Treatment
from serving.feed.candidates import Candidates, joined, objects
from serving.feed.ladder import RankedRung, answered
from serving.feed.policy import Policy
from serving.feed.query import FeedQuery
from serving.pipeline.stages import Selection
from serving.shapes import Reason
from timelines.entry import Ids
from timelines.keys import Keyspace

SNAPSHOT_VERSION = 5
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

    ``rung`` and ``reason`` are those of its first page. ``policy`` made its order; ``arm`` is the reader's
    (``experiment:arm``) at the first page. ``top``: the newest appearance of the home timeline then;
    ``more``: there is something below the ranking.
    ``columns``: packed little-endian, one value per place; ``wide``: one row per place, with its width;
    ``features`` of the first places only.
    """

    v: int
    model: str
    rung: RankedRung
    reason: Reason | None
    policy: Policy
    arm: str | None
    as_of_ms: int
    candidates: int
    top: int
    more: bool
    retweeters: list[tuple[int, ...]]
    liked_by: list[tuple[int, ...]]
    columns: dict[str, bytes]
    wide: dict[str, tuple[int, bytes]]

    @property
    def places(self) -> int:
        return len(self.retweeters)

    @property
    def appearances(self) -> Ids:
        """Those of all places, best first."""
        return np.frombuffer(self.columns["appearance"], dtype=PACKED["appearance"])

    def table(self) -> Candidates:
        """The whole ranking; places beyond the kept features have missing values."""
        columns: dict[str, NDArray[Any]] = {
            name: np.frombuffer(self.columns[name], dtype=kind) for name, kind in PACKED.items()
        }
        n = self.places
        for name, kind in WIDE.items():
            width, packed = self.wide[name]
            rows = np.frombuffer(packed, dtype=kind).reshape(-1, width) if width else np.empty((n, 0))
            if len(rows) < n:
                rows = np.concatenate([rows, np.full((n - len(rows), width), np.nan, dtype=kind)])
            columns[name] = rows
        return Candidates.of(
            **columns,
            retweeters=objects(self.retweeters),
            liked_by=objects(self.liked_by),
            rank=np.arange(n),
        )


class SnapshotGoneError(LookupError):
    """The ranking that a cursor continues is kept no longer."""


@dataclass(frozen=True)
class Snapshots:
    """Kept in Redis for ``seconds`` after they were last read, under reader and request id."""

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
        """The ranking, kept for ``seconds`` more.

        Raises:
            SnapshotGoneError: expired, or of another version.
        """
        stored = await self.redis.getex(self._key(reader, request_id), px=self.seconds * 1000)
        if stored is None:
            raise SnapshotGoneError(request_id)
        try:
            snapshot = msgspec.msgpack.decode(stored, type=Snapshot)
        except msgspec.DecodeError:
            raise SnapshotGoneError(request_id) from None
        if snapshot.v != SNAPSHOT_VERSION:
            raise SnapshotGoneError(request_id)
        return snapshot


def snapshot_of(
    model: str,
    treatment: Treatment,
    as_of_ms: int,
    candidates: int,
    ranked: Candidates,
    top: int = 0,
    more: bool = False,
    rung: RankedRung = "full",
) -> Snapshot:
    """The ranking of ``ranked``, best first; see :class:`Snapshot`."""
    wide = {name: getattr(ranked, name) for name in WIDE}
    wide["features"] = wide["features"][:FEATURE_PLACES]
    by_heads = ranked.probabilities.shape[1] > 0
    return Snapshot(
        SNAPSHOT_VERSION,
        model,
        *answered(rung, by_heads),
        treatment.policy,
        treatment.arm,
        as_of_ms,
        candidates,
        top,
        more,
        ranked.retweeters.tolist(),
        ranked.liked_by.tolist(),
        {name: getattr(ranked, name).astype(kind).tobytes() for name, kind in PACKED.items()},
        {name: (rows.shape[1], rows.astype(WIDE[name]).tobytes()) for name, rows in wide.items()},
    )


def more_below(query: FeedQuery, ranked: Candidates) -> bool:
    """Whether the reader's home timeline has, or may have below it, what the ranking has not."""
    if query.home is None:
        return False
    entries = query.home.entries
    others = np.isin(entries["original"], ranked.original, invert=True)
    if query.hidden:
        hidden = np.fromiter(query.hidden, dtype=np.int64)
        others &= ~(np.isin(entries["author"], hidden) | np.isin(entries["original_author"], hidden))
    return query.home.beyond > 0 or bool(others.any())


@dataclass(frozen=True)
class KeepRanking:
    """Keeps the ranking for the pages that follow; one page that is all needs none."""

    snapshots: Snapshots = field(repr=False)
    model: str
    treatment: Treatment = field(repr=False)
    rung: RankedRung
    name: str = "keep_ranking"

    async def keep(self, query: FeedQuery, selection: Selection[Candidates]) -> None:
        whole = joined([selection.selected, selection.rest])
        more = more_below(query, whole)
        if not (more or len(selection.rest)):
            return
        top = 0
        if query.home is not None and len(query.home.entries):
            top = int(query.home.entries["appearance"][0])  # the newest stands first
        snapshot = snapshot_of(
            self.model, self.treatment, query.now_ms, len(whole), whole, top, more, self.rung
        )
        await self.snapshots.keep(query.reader, query.request_id, snapshot)


@dataclass(frozen=True)
class KeptRanking:
    """Source: what is left of a kept ranking, in its order."""

    snapshot: Snapshot = field(repr=False)
    name: str = "kept_ranking"

    async def fetch(self, query: FeedQuery) -> Candidates:
        whole = self.snapshot.table()
        return whole.take(np.arange(query.offset, len(whole)))
