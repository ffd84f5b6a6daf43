"""The operators of the ``engagement`` job: the changes of one shard, added up and written together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

from features.aggregates import ACCOUNT, SHOWING, TWEET, Ints, TallyKind, add
from features.names import USER_AUTHOR_RECENT, WINDOWS
from features.rows import encode_rows, load_functions, put_rows
from features.tallies import TALLIED, values_of
from pipelines.stream.engagement_queries import PAIRS, Batch, Marks, affinities, decode_marks
from pipelines.stream.store import Store, StoreAddress
from timelines import commands, popular
from timelines.bodies import pack_account_counts, pack_tweet_counts

LONGEST = list(WINDOWS).index("24h")
CACHED = 200_000
"""Tallies kept at hand by an operator; the state is asked for the others."""


@dataclass
class Tallies:
    """The tallies of one kind in keyed state, packed, with the newest of them at hand."""

    kind: TallyKind
    state: Any
    _near: dict[int, bytes] = field(default_factory=dict)

    def add(self, ids: Ints, marks: Marks) -> tuple[Ints, NDArray[np.void]]:
        """Adds marks to the tallies of ``ids``; answers each id once, and its tally as it is now."""
        unique, which = np.unique(ids, return_inverse=True)
        owners = unique.tolist()
        tallies = self.kind.unpack(self._near.get(owner) or self.state.get(owner) for owner in owners)
        add(self.kind, tallies, which, *marks)
        packed, width = tallies.tobytes(), tallies.itemsize
        changed = {owner: packed[i * width : (i + 1) * width] for i, owner in enumerate(owners)}
        self.state.put_all(changed)
        if len(self._near) > CACHED:
            self._near.clear()
        self._near.update(changed)
        return unique, tallies


class EngagementWriter(KeyedProcessFunction):  # type: ignore[misc]
    """Records of ``engagement_queries.batches`` keyed by shard -> counts and feature rows; emits nothing.

    Values are absolute and versioned by the newest event time behind them, so writing again changes nothing.
    A failed write fails the task, which repeats the batch from the last checkpoint.
    """

    def __init__(self, address: StoreAddress) -> None:
        self._address = address

    def open(self, runtime_context: RuntimeContext) -> None:
        self._store = Store(self._address)
        self._store.load(load_functions)

        def tallies(kind: TallyKind, name: str) -> Tallies:
            descriptor = MapStateDescriptor(name, Types.LONG(), Types.PICKLED_BYTE_ARRAY())
            return Tallies(kind, runtime_context.get_map_state(descriptor))

        self._tallies = [
            tallies(TWEET, "tweet_tallies_v1"),
            tallies(SHOWING, "showing_tallies_v1"),
            tallies(ACCOUNT, "account_tallies_v1"),
        ]

    def close(self) -> None:
        self._store.close()

    def process_element(self, batch: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        ids, codes = (np.array(batch[place], dtype=np.int64) for place in (1, 2))
        with self._store.pipeline() as pipe:
            if batch[0] == PAIRS:
                self._write_pairs(pipe, np.stack([ids, codes], axis=1), batch)
            else:
                self._write_marks(pipe, ids, decode_marks(codes))
        return iter(())

    def _write_pairs(self, pipe: Any, pairs: Ints, batch: Batch) -> None:
        """Of a pair that a batch holds twice the later one is written last."""
        moments = np.array(batch[3], dtype=np.int64)
        values = affinities(np.array(batch[4], dtype=np.float64), moments)
        packed = encode_rows(USER_AUTHOR_RECENT, moments, values[:, None].astype(np.float32))
        put_rows(pipe, self._store.keys, USER_AUTHOR_RECENT, pairs, packed)

    def _write_marks(self, pipe: Any, ids: Ints, marks: Marks) -> None:
        for tallies in self._tallies:
            numbers = tallies.kind.numbers
            chosen = (marks.slots >= numbers.start) & (marks.slots < numbers.stop)
            if chosen.any():
                owners, now = tallies.add(ids[chosen], Marks(*(part[chosen] for part in marks)))
                self._write(pipe, tallies.kind, owners, now)

    def _write(self, pipe: Any, kind: TallyKind, owners: Ints, tallies: NDArray[np.void]) -> None:
        keys, versions, counts = self._store.keys, tallies["version"], tallies["counts"]
        if kind == TWEET:
            commands.put_versioned(pipe, keys, "counts", owners, pack_tweet_counts(versions, counts))
            popular.offer(pipe, keys, owners, tallies["recent"][:, 0, LONGEST], versions)
        elif kind == ACCOUNT:
            shown = counts[:, : kind.slots.index("received")]
            commands.put_versioned(pipe, keys, "account_counts", owners, pack_account_counts(versions, shown))
        view = TALLIED[kind]
        put_rows(pipe, keys, view, owners[:, None], encode_rows(view, versions, values_of(kind, tallies)))
