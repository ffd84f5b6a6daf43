"""Folds over a log of events, vectorised: what had happened to a key strictly before a moment.

Keys and times are int64 (times in ms UTC), values float64, all [n]; about a negative key nothing is known
(NaN). An event at the very moment asked about has not happened yet.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
UNKNOWN = -1


def pair_keys(first: Ints, second: Ints) -> Ints:
    """One key per pair of codes below 2^31; unknown where either is."""
    return np.where((first < 0) | (second < 0), UNKNOWN, (first << 31) | second)


class Running:
    """Events by key and time, to be asked about keys at moments."""

    def __init__(self, keys: Ints, times: Ints, values: Floats | None = None) -> None:
        known = np.flatnonzero(keys >= 0)
        order = known[np.lexsort((times[known], keys[known]))]
        self._times = times[order]
        self._values = np.ones(len(order)) if values is None else values[order]
        self._keys, self._codes = np.unique(keys[order], return_inverse=True)
        self._first = int(self._times.min()) if len(order) else 0
        self._span = int(self._times.max()) - self._first + 2 if len(order) else 1
        self._places = self._codes * self._span + (self._times - self._first)

    def count(self, keys: Ints, times: Ints, within_ms: int | None = None) -> Floats:
        """Events of the key before the moment, or only those of the last ``within_ms``."""
        start, end = self._range(keys, times, within_ms)
        return np.where(keys < 0, np.nan, end - start)

    def total(self, keys: Ints, times: Ints) -> Floats:
        """The sum of the values of the events before the moment."""
        return self.decayed(keys, times, np.inf)

    def decayed(self, keys: Ints, times: Ints, lifetime_ms: float) -> Floats:
        """The sum of value * exp(-age / lifetime), as of ``features.aggregates.decayed``."""
        start, end = self._range(keys, times, None)
        sums = np.where(keys < 0, np.nan, 0.0)
        some = np.flatnonzero(end > start)
        last = end[some] - 1
        sums[some] = self._scan(lifetime_ms)[last] * np.exp((self._times[last] - times[some]) / lifetime_ms)
        return sums

    def latest(self, keys: Ints, times: Ints) -> Floats:
        """The value of the newest event of the key; NaN without one."""
        start, end = self._range(keys, times, None)
        values = np.full(len(keys), np.nan)
        some = np.flatnonzero(end > start)
        values[some] = self._values[end[some] - 1]
        return values

    def since_last(self, keys: Ints, times: Ints) -> Floats:
        """Hours since the newest event of the key; NaN without one."""
        start, end = self._range(keys, times, None)
        return self._hours(times, end - 1, end > start)

    def since_first(self, keys: Ints, times: Ints) -> Floats:
        """Hours since the oldest event of the key; NaN without one."""
        start, end = self._range(keys, times, None)
        return self._hours(times, start, end > start)

    def _hours(self, times: Ints, places: Ints, known: NDArray[np.bool_]) -> Floats:
        if not len(self._times):
            return np.full(len(times), np.nan)
        moments = self._times[np.clip(places, 0, len(self._times) - 1)]
        return np.where(known, (times - moments) / 3_600_000, np.nan)

    def _range(self, keys: Ints, times: Ints, within_ms: int | None) -> tuple[Ints, Ints]:
        """Per question the events it covers, as places [start, end) in the sorted log."""
        codes = np.searchsorted(self._keys, keys)
        known = np.zeros(len(keys), dtype=bool)
        inside = codes < len(self._keys)
        known[inside] = self._keys[codes[inside]] == keys[inside]
        codes = np.where(known, codes, 0)
        since = np.full(len(keys), self._first) if within_ms is None else times - within_ms
        start, end = (self._place(codes, moments) for moments in (since, times))
        return np.where(known, start, 0), np.where(known, end, 0)

    def _place(self, codes: Ints, moments: Ints) -> Ints:
        offsets = np.clip(moments - self._first, 0, self._span - 1)
        return np.searchsorted(self._places, codes * self._span + offsets, side="left").astype(np.int64)

    def _scan(self, lifetime_ms: float) -> Floats:
        """Per event the decayed sum of its key up to and with it: each pass doubles how far it looks back.

        Rounding depends on the key's own past only: a running sum over all keys would not.
        """
        sums = self._values.copy()
        longest = int(np.bincount(self._codes).max()) if len(self._codes) else 0
        step = 1
        while step < longest:
            same = self._codes[step:] == self._codes[:-step]
            left = np.exp(
                -(self._times[step:] - self._times[:-step]) / lifetime_ms, where=same, out=np.zeros(len(same))
            )
            sums[step:] += sums[:-step] * left
            step *= 2
        return sums
