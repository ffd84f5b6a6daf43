"""64-bit hashes of many strings at once, such that the hash of two strings joined follows from theirs.

A string of code points c0..cn-1 has the polynomial H = sum((c_k + 1) * BASE**k) mod 2**64, so that
H(xy) = H(x) + BASE**len(x) * H(y) (Karp and Rabin 1987). One pass over a text serves all slices of it, and
no word or pair of words becomes a Python object.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

UInts = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
CodePoints = npt.NDArray[np.uint32]
BASE = 0x9E3779B97F4A7C15
_BASE_INVERSE = pow(BASE, -1, 1 << 64)
KIND_BITS = np.uint64(3)
TERM_BITS = ~KIND_BITS
"""Term hashes leave their two lowest bits to the kind of term."""


def code_points(text: str) -> CodePoints:
    """[len(text)] code points; a lone surrogate stays what it is."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def polynomials(points: CodePoints, starts: Ints, ends: Ints) -> UInts:
    """The polynomials of the slices ``starts:ends``."""
    powers, inverse = _powers(1 << max(12, len(points).bit_length()))
    summed = np.zeros(len(points) + 1, np.uint64)
    np.cumsum((points.astype(np.uint64) + np.uint64(1)) * powers[: len(points)], out=summed[1:])
    result: UInts = (summed[ends] - summed[starts]) * inverse[starts]
    return result


def joined(first: UInts, first_size: Ints, second: UInts) -> UInts:
    """The polynomials of strings joined pair by pair; sizes below 4,096."""
    powers, _ = _powers(1 << 12)
    result: UInts = first + powers[first_size] * second
    return result


def mixed(values: UInts) -> UInts:
    """A bijection that spreads every bit over all (the finalizer of SplitMix64, Steele et al. 2014)."""
    spread = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    spread = (spread ^ (spread >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: UInts = spread ^ (spread >> np.uint64(31))
    return result


def term_hashes(polynomial: UInts) -> UInts:
    """What terms are known by: mixed, the two lowest bits zero."""
    result: UInts = mixed(polynomial) & TERM_BITS
    return result


def name_hashes(names: Sequence[str]) -> UInts:
    """Mixed hashes of some names, such as those of places and languages."""
    ends = np.cumsum([0, *map(len, names)])
    return mixed(polynomials(code_points("".join(names)), ends[:-1], ends[1:]))


class HashSet:
    """A fixed set of hashes. Most values that are not in it are told apart by a table of their low bits."""

    _SLOTS = 1 << 20

    def __init__(self, hashes: UInts) -> None:
        self._sorted = np.unique(hashes)
        self._table = np.zeros(self._SLOTS, np.bool_)
        self._table[self._slots(self._sorted)] = True

    def has(self, values: UInts) -> Bools:
        """Which of the values are in the set."""
        found: Bools = self._table[self._slots(values)]
        likely = np.flatnonzero(found)
        place = np.minimum(np.searchsorted(self._sorted, values[likely]), len(self._sorted) - 1)
        found[likely] = self._sorted[place] == values[likely]
        return found

    def _slots(self, values: UInts) -> UInts:
        # The lowest bits of terms are zero.
        result: UInts = (values >> np.uint64(2)) & np.uint64(self._SLOTS - 1)
        return result


@lru_cache(maxsize=16)
def _powers(count: int) -> tuple[UInts, UInts]:
    """The first powers of BASE and of its inverse mod 2**64."""

    def table(base: int) -> UInts:
        factors = np.full(count, base, np.uint64)
        factors[0] = 1
        return np.multiply.accumulate(factors)

    return table(BASE), table(_BASE_INVERSE)
