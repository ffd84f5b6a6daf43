"""What a packed row is made of, and where it lies: what ``features.rows`` has to be told."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol


class NamedView(Protocol):
    @property
    def name(self) -> str: ...


class RowLayout(NamedView, Protocol):
    """A view whose rows are packed: float32 ``columns`` of one or more int64 ``entities``, in order."""

    @property
    def entities(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def ttl_seconds(self) -> int:
        """How old a row may be; 0 for ever."""
        ...

    @property
    def lifetimes_s(self) -> tuple[float | None, ...]:
        """Of each column: after how many seconds 1/e of a value is left; None where it does not decay."""
        ...


class RowKeys(Protocol):
    """Where rows lie: the kind of a view's rows is ``feature:<view name>``."""

    @property
    def partitions(self) -> int: ...
    def head(self, kind: str) -> str:
        """How every key of a kind begins: everything before its hash tag."""
        ...


@dataclass(frozen=True)
class PrefixedKeys:
    """Keys under one prefix, but for the kinds that have one of their own."""

    prefix: str
    partitions: int
    prefixes: Mapping[str, str] = field(default_factory=dict)

    def head(self, kind: str) -> str:
        return f"{self.prefixes.get(kind, self.prefix)}:{kind}:"


def fingerprint(layout: RowLayout) -> int:
    """32 bits that another order, name or lifetime of columns or join keys changes; each row carries them."""
    return _fingerprint(layout.entities, layout.columns, layout.lifetimes_s)


@lru_cache
def _fingerprint(
    entities: tuple[str, ...], columns: tuple[str, ...], lifetimes_s: tuple[float | None, ...]
) -> int:
    return zlib.crc32(json.dumps([entities, columns, lifetimes_s]).encode())
