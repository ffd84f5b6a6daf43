"""What term hashes are shown as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipelines.trends.hashing import KIND_BITS, TERM_BITS, CodePoints, Ints, UInts
from pipelines.trends.slots import Columns, SlotIndex


class Names:
    """Terms -> their letters: of several forms of a term the hashtag stays, else the pair of words."""

    def __init__(self) -> None:
        self._index = SlotIndex()
        self._rows = Columns(
            {"kind": (np.uint8, 0), "start": (np.int64, 0), "end": (np.int64, 0), "learned": (np.int64, 0)}
        )
        self._text = Columns({"point": (np.uint32, 0)})

    def learn(self, forms: UInts, cuts: Ints, text: CodePoints, at_ms: int) -> None:
        """``forms``: terms (sorted) with their kind in the lowest bits; ``text`` is cut at ``cuts``."""
        # Of the forms of one term the last is of the highest kind.
        last = np.append((forms[1:] & TERM_BITS) != (forms[:-1] & TERM_BITS), True)[: len(forms)]
        forms, start, end = forms[last], cuts[:-1][last], cuts[1:][last]
        kind = (forms & KIND_BITS).astype(np.uint8)
        slots = self._index.find_or_add(forms & TERM_BITS)
        self._rows.grow(self._index.size)
        self._rows["learned"][slots] = np.maximum(self._rows["learned"][slots], at_ms)
        better = kind > self._rows["kind"][slots]
        slots, offset = slots[better], self._text.size
        self._rows["kind"][slots] = kind[better]
        self._rows["start"][slots] = start[better] + offset
        self._rows["end"][slots] = end[better] + offset
        self._text.grow(offset + len(text))
        self._text["point"][offset:] = text

    def of(self, terms: UInts) -> list[str | None]:
        """None for a term without a name."""
        slots = self._index.find(terms)
        found: list[str | None] = []
        for slot in slots.tolist():
            if slot < 0:
                found.append(None)
                continue
            letters = self._text["point"][self._rows["start"][slot] : self._rows["end"][slot]]
            found.append(letters.tobytes().decode("utf-32-le", "replace"))
        return found

    def keep(self, terms: UInts, since_ms: int) -> None:
        """Forget the names of all other terms that were not learned since then."""
        kept = self._rows["learned"] >= since_ms
        slots = self._index.find(terms)
        kept[slots[slots >= 0]] = True
        slots = np.flatnonzero(kept)
        keys = self._index.keys()[slots]
        start, end = self._rows["start"][slots], self._rows["end"][slots]
        size = end - start
        ends = np.cumsum(size)
        text = self._text["point"][np.arange(int(size.sum())) + np.repeat(start - (ends - size), size)]
        self._rows.keep(slots)
        self._rows["start"][:], self._rows["end"][:] = ends - size, ends
        self._index = SlotIndex(keys)
        self._text.unpack({"point": text.tobytes()})

    def pack(self) -> dict[str, object]:
        return {
            "keys": self._index.keys().tobytes(),
            "rows": self._rows.pack(),
            "text": self._text.pack(),
        }

    def unpack(self, packed: Mapping[str, Any]) -> None:
        self._index = SlotIndex(np.frombuffer(packed["keys"], np.uint64))
        self._rows.unpack(packed["rows"])
        self._text.unpack(packed["text"])
