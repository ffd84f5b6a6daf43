"""The keys of projections in the store: counted, compared and taken away."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from timelines.keys import KINDS, Keyspace

SCANNED = 1000
SAMPLE = 200
# The same feed may be packed in many ways, and is compared as it is read; the others tell who has read and in
# what portions events came, or hold what chance gave.
NOT_COMPARED = frozenset(
    {"home", "outbox", "activated", "rebuild_lease", "pulled", "pulled_stamp", "withdrawals"}
)


@dataclass(frozen=True)
class KindComparison:
    """Keys of one kind ``before`` and ``after``; of ``sampled`` of them ``different`` have another value."""

    kind: str
    before: int
    after: int
    sampled: int
    different: int


def compare(client: Any, before: Keyspace, after: Keyspace, jobs: Sequence[str]) -> list[KindComparison]:
    """Two builds of the projections of these jobs; ``client`` is a redis-py client that does not decode."""
    old, new = _Heads(before, jobs), _Heads(after, jobs)
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    samples: dict[str, list[bytes]] = defaultdict(list)
    for keys in chain(_scan(client, old), _scan(client, new)):
        for key in keys:
            if (kind := old.kind(key)) is not None:
                counts[0][kind] += 1
            elif (kind := new.kind(key)) is not None:
                counts[1][kind] += 1
                # SCAN goes by the hash of a key, so the first ones are as good as any.
                if kind not in NOT_COMPARED and len(samples[kind]) < SAMPLE:
                    samples[kind].append(key)
    return [
        KindComparison(
            kind,
            counts[0][kind],
            counts[1][kind],
            len(samples[kind]),
            sum(
                _value(client, before.head(kind).encode() + key[len(after.head(kind)) :])
                != _value(client, key)
                for key in samples[kind]
            ),
        )
        for job in jobs
        for kind in KINDS[job]
        if counts[0][kind] or counts[1][kind]
    ]


def unlink(
    client: Any,
    keys: Keyspace,
    job: str,
    per_second: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Take the keys of one projection away, at most so many a second; how many there were."""
    heads = _Heads(keys, [job])
    started, unlinked = clock(), 0
    for scanned in _scan(client, heads):
        chosen = [key for key in scanned if heads.kind(key) is not None]
        pipe = client.pipeline(transaction=False)
        for key in chosen:
            pipe.unlink(key)
        pipe.execute()
        unlinked += len(chosen)
        ahead = started + unlinked / per_second - clock()
        if ahead > 0:
            sleep(ahead)
    return unlinked


class _Heads:
    """Tells the kinds of projections' keys by how they begin."""

    def __init__(self, keys: Keyspace, jobs: Sequence[str]) -> None:
        self._kinds = {keys.head(kind).encode(): kind for job in jobs for kind in KINDS[job]}
        self.prefixes = sorted({head.partition(b":")[0] for head in self._kinds})

    def kind(self, key: bytes) -> str | None:
        """None for a key of something else."""
        return self._kinds.get(key.partition(b"{")[0])


def _scan(client: Any, heads: _Heads) -> Iterator[list[bytes]]:
    for prefix in heads.prefixes:
        found = client.scan_iter(match=prefix + b":*", count=SCANNED)
        while some := list(islice(found, SCANNED)):
            yield some


def _value(client: Any, key: bytes) -> object:
    """The value in a form that does not depend on how it came about."""
    match client.type(key):
        case b"string":
            return client.get(key)
        case b"zset":
            return dict(client.zrange(key, 0, -1, withscores=True))
        case b"set":
            return client.smembers(key)
    return None
