"""Scrolling past the last ranked item goes on with the rest of the feed, newest first."""

from __future__ import annotations

from typing import Any

from tests.unit.serving.test_feed_ladder import ids, ranking
from tests.unit.serving.test_ladder import laddered

__all__ = ["laddered", "ranking"]


def scrolled(world: Any, limit: int) -> tuple[list[int], list[str]]:
    """The originals of all pages, and the rung of each page."""
    answer = world.page("ranked", limit=limit)
    found, rungs = ids(answer), [answer.rung]
    while answer.next_cursor is not None:
        answer = world.page("ranked", limit=limit, cursor=answer.next_cursor)
        found += ids(answer)
        rungs.append(answer.rung)
    return found, rungs


def test_what_the_light_ranker_pruned_follows_newest_first(laddered: Any) -> None:
    assert scrolled(laddered, 2) == ([40, 50, 30, 20, 10], ["full", "chronological", "chronological"])


def test_pages_of_one_item_lose_nothing_at_the_end_of_the_ranking(laddered: Any) -> None:
    found, _ = scrolled(laddered, 1)
    assert found == [40, 50, 30, 20, 10]


def test_the_own_tweets_stand_below_the_ranking(ranking: Any) -> None:
    ranking.tweet(60, ranking.reader)
    found, rungs = scrolled(ranking, 5)
    assert found == [10, 20, 30, 40, 50, 60]
    assert rungs == ["full", "chronological"]


def test_what_arrives_meanwhile_waits_for_the_next_visit(laddered: Any) -> None:
    first = laddered.page("ranked", limit=2)
    laddered.tweet(60, 7)
    second = laddered.page("ranked", limit=5, cursor=first.next_cursor)
    assert ids(second) == [30, 20, 10]
    assert second.next_cursor is None


def test_positions_go_on_below_the_ranking(laddered: Any) -> None:
    first = laddered.page("ranked", limit=2)
    second = laddered.page("ranked", limit=2, cursor=first.next_cursor)
    assert second.first_position == 2


def test_the_reader_is_not_served_the_same_again_on_the_next_visit(ranking: Any) -> None:
    first = ranking.page("ranked", limit=2)
    second = ranking.page("ranked", limit=2)
    assert ids(first) == [10, 20]
    assert ids(second) == [30, 40]
    assert second.removed["served"] == 2


def test_an_audit_leaves_no_memory_of_what_it_was_served(ranking: Any) -> None:
    assert ids(ranking.page("ranked", limit=2, audit=True)) == ids(ranking.page("ranked", limit=2))
