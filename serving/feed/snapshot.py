"""Rankings kept for scrolling: the order stays as it was on the first page, whatever the scores do since."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from features.names import MODEL_INPUT
from serving.feed.query import Candidate, FeedQuery, SourceName
from serving.feed.scoring import feature_matrix
from timelines.keys import Keyspace


class Place(msgspec.Struct, frozen=True, array_like=True):
    """One candidate of a kept ranking."""

    appearance_id: int
    author: int
    original_id: int
    original_author: int
    is_retweet: bool
    source: SourceName
    retweeters: tuple[int, ...]
    score: float | None
    probabilities: dict[str, float] | None


class Snapshot(msgspec.Struct, frozen=True):
    """A ranking as it was served; ``features`` is float32 [m, len(MODEL_INPUT)], little-endian, of the
    first m places: few readers scroll past them, and the rows are most of what a ranking weighs.
    """

    v: int
    model: str
    as_of_ms: int
    candidates: int
    places: list[Place]
    features: bytes


SNAPSHOT_VERSION = 1
FEATURE_PLACES = 200


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


def snapshot_of(model: str, as_of_ms: int, candidates: int, ranked: Sequence[Candidate]) -> Snapshot:
    """The ranking of ``ranked``, best first; ``candidates`` is how many it was chosen from."""
    places = [
        Place(
            c.appearance_id,
            c.author,
            c.original_id,
            c.original_author,
            c.is_retweet,
            c.source,
            c.retweeters,
            None if math.isnan(c.score) else c.score,
            None if c.probabilities is None else dict(c.probabilities),
        )
        for c in ranked
    ]
    features = feature_matrix(ranked[:FEATURE_PLACES], len(MODEL_INPUT)).astype("<f4").tobytes()
    return Snapshot(SNAPSHOT_VERSION, model, as_of_ms, candidates, places, features)


@dataclass(frozen=True)
class KeptRanking:
    """Source: what is left of a kept ranking, in its order."""

    snapshot: Snapshot
    name: str = "kept_ranking"

    async def fetch(self, query: FeedQuery) -> Sequence[Candidate]:
        matrix = np.frombuffer(self.snapshot.features, dtype="<f4").reshape(-1, len(MODEL_INPUT))
        return [
            Candidate(
                place.appearance_id,
                place.author,
                place.original_id,
                place.original_author,
                place.is_retweet,
                place.source,
                place.retweeters,
                rank=rank,
                features=matrix[rank] if rank < len(matrix) else None,
                score=math.nan if place.score is None else place.score,
                probabilities=place.probabilities,
            )
            for rank, place in enumerate(self.snapshot.places)
            if rank >= query.offset
        ]
