"""How a trend list follows the one before it."""

from __future__ import annotations

from pipelines.stream.trend_lists import TrendItem, next_list
from pipelines.stream.trend_queries import WINDOWS
from timelines.bodies import Trend, TrendList

HOUR = 3_600_000
SLIDE = 5 * 60_000
(WINDOW,) = (window for window in WINDOWS if window.name == "1h")
AS_OF = 100 * HOUR


def item(term: str, rank: int) -> TrendItem:
    return TrendItem(term, rank, count=9, authors=4, expected=3, score=12.0)


def test_a_new_term_is_in_the_list_since_its_window_began() -> None:
    listed = next_list(None, WINDOW, AS_OF, [item("#a", 1)])
    assert listed == TrendList(AS_OF, (Trend("#a", 1, 9, 4, 12.0, AS_OF - HOUR),))


def test_items_stand_by_rank_whatever_order_they_come_in() -> None:
    listed = next_list(None, WINDOW, AS_OF, [item("b", 2), item("c", 3), item("a", 1)])
    assert [trend.term for trend in listed.items] == ["a", "b", "c"]


def test_a_term_that_stays_keeps_its_moment() -> None:
    before = next_list(None, WINDOW, AS_OF, [item("#a", 1)])
    listed = next_list(before, WINDOW, AS_OF + SLIDE, [item("#new", 1), item("#a", 2)])
    assert {trend.term: trend.since for trend in listed.items} == {
        "#new": AS_OF + SLIDE - HOUR,
        "#a": AS_OF - HOUR,
    }


def test_a_pause_starts_the_run_anew() -> None:
    before = next_list(None, WINDOW, AS_OF, [item("#a", 1)])
    listed = next_list(before, WINDOW, AS_OF + 2 * SLIDE, [item("#a", 1)])
    assert listed.items[0].since == AS_OF + 2 * SLIDE - HOUR
