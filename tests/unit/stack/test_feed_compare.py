from __future__ import annotations

import pytest

from stack.verify.compare import Difference, compare
from stack.verify.fold import Item


def feed(*ids: int) -> list[Item]:
    return [Item(number, ()) for number in ids]


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        (feed(5, 4, 3, 2), Difference()),
        (feed(5, 4, 2), Difference(missing=1)),
        ([], Difference(missing=4)),
        (feed(5, 4, 9, 3, 2), Difference(extra=1)),
        (feed(5, 4, 4, 3, 2), Difference(duplicates=1)),
        (feed(5, 4, 3, 2, 5), Difference(duplicates=1)),
        (feed(5, 3, 4, 2), Difference(missing=1, extra=1)),
        (feed(2, 3, 4, 5), Difference(missing=3, extra=3)),
        (feed(9, 9, 5, 4, 3, 2), Difference(extra=1, duplicates=1)),
        ([Item(5, (7,)), *feed(4, 3, 2)], Difference(missing=1, extra=1)),
        ([Item(5, (7,)), *feed(5, 4, 3, 2)], Difference(duplicates=1)),
    ],
)
def test_every_kind_of_difference_is_counted(found: list[Item], difference: Difference) -> None:
    assert compare(feed(5, 4, 3, 2), found) == difference


def test_the_order_of_retweeters_counts() -> None:
    assert compare([Item(5, (1, 2))], [Item(5, (2, 1))]) == Difference(missing=1, extra=1)


def test_empty_feeds_are_equal() -> None:
    assert not compare([], [])
