"""Marks of tweets and accounts: how bad, why, and who said so; a person's word outranks a rule's.

One sorted set per kind of target answers for many ids in one command; it holds what was ever marked, so it
stays small. Why is kept beside it, one string per target.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from timelines.keys import Keyspace

SEVERITIES = ("allow", "limit", "quarantine")
_PERSON = 1 << 44
"""Above every moment in milliseconds, four times: scores stay whole numbers that a double holds."""


class StoredMark(msgspec.Struct, frozen=True):
    """``ts`` in milliseconds UTC."""

    verdict: str
    reason: str
    ts: int
    by_person: bool


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StoredMark)


def score(mark: StoredMark) -> int:
    """Order of the marks of one target: a person's word, then the later one, then the worse one."""
    return _PERSON * mark.by_person + mark.ts * 4 + SEVERITIES.index(mark.verdict)


def put_mark(pipe: Any, keys: Keyspace, target: str, target_id: int, mark: StoredMark) -> None:
    """Store a mark unless a higher one is there; repeating it changes nothing."""
    order = score(mark)
    pipe.zadd(keys.marked(target), {str(target_id): order}, gt=True)
    value = order.to_bytes(8, "big") + _encoder.encode(mark)
    pipe.fcall("put_versioned", 1, keys.key(f"mark_{target}", target_id), value)


def decode_mark(stored: bytes | None) -> StoredMark | None:
    """None where nothing is stored."""
    return None if stored is None else _decoder.decode(memoryview(stored)[8:])


def queue_severities(pipe: Any, keys: Keyspace, ids: Mapping[str, Iterable[int]]) -> None:
    """Queue one command per kind of target; ``severities`` reads its answers."""
    for target, members in ids.items():
        pipe.zmscore(keys.marked(target), list(members))


def severities(scores: Iterable[float | None]) -> list[int]:
    """Places in ``SEVERITIES``; 0 for what was never marked."""
    return [0 if found is None else int(found) % 4 for found in scores]
