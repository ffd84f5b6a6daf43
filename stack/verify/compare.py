"""Compares a feed with what it should be."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stack.verify.fold import Item


@dataclass(frozen=True)
class Difference:
    """Items that are not where they should be, that should not be, and that are there again."""

    missing: int = 0
    extra: int = 0
    duplicates: int = 0

    def __add__(self, other: Difference) -> Difference:
        return Difference(
            self.missing + other.missing, self.extra + other.extra, self.duplicates + other.duplicates
        )

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra or self.duplicates)


def compare(expected: Sequence[Item], found: Sequence[Item]) -> Difference:
    """How ``found`` differs from ``expected``, whose tweets are all different.

    An item with other retweeters is one missing and one extra. So is one out of order: of the items that
    both have, all but a longest run in the expected order are missing from their places and extra elsewhere.
    """
    times = Counter(item.tweet_id for item in found)
    duplicates = sum(times.values()) - len(times)
    once = list(dict.fromkeys(found))
    place = {item: index for index, item in enumerate(expected)}
    in_place = _longest_ascending([place[item] for item in once if item in place])
    surplus = len(once) - in_place
    repeated = len(found) - len(once)
    return Difference(len(expected) - in_place, surplus - (duplicates - repeated), duplicates)


def _longest_ascending(numbers: Sequence[int]) -> int:
    tails: list[int] = []
    for number in numbers:
        at = bisect.bisect_left(tails, number)
        tails[at : at + 1] = [number]
    return len(tails)
