"""How scores become a page that does not flicker."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.trends import listing, scoring
from pipelines.trends.listing import Candidate


def candidate(term: str, score: float, authors: int = 10) -> Candidate:
    return Candidate(term, authors, authors, 0.0, score, 1)


def terms(candidates: list[Candidate]) -> list[str]:
    return [found.term for found in candidates]


def test_a_term_enters_above_one_score_and_leaves_below_a_lower_one() -> None:
    scores, listed = np.asarray([3.5, 2.0, 2.0, 0.9]), np.asarray([False, False, True, True])
    assert listing.staying(scores, listed, enter=3.0, leave=1.0).tolist() == [True, False, True, False]


def test_a_page_keeps_its_order_until_a_term_beats_another_by_the_margin() -> None:
    before = {"a": 0, "b": 1}
    close = [candidate("b", 11), candidate("a", 10)]
    clear = [candidate("b", 13), candidate("a", 10)]
    assert terms(listing.ordered(close, before, margin=0.25, top=9)) == ["a", "b"]
    assert terms(listing.ordered(clear, before, margin=0.25, top=9)) == ["b", "a"]


def test_a_newcomer_passes_only_what_it_clearly_beats() -> None:
    page = listing.ordered(
        [candidate("x", 11), candidate("a", 10), candidate("b", 5)], {"a": 0, "b": 1}, margin=0.25, top=9
    )
    assert terms(page) == ["a", "x", "b"]


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.floats(1, 100), min_size=1), st.permutations("abcdefgh")
)
def test_a_page_holds_each_term_once_and_nothing_clearly_beats_what_stands_above_it(
    scores: dict[str, float], before: list[str]
) -> None:
    candidates = sorted((candidate(t, s) for t, s in scores.items()), key=lambda found: -found.score)
    page = listing.ordered(candidates, {t: rank for rank, t in enumerate(before)}, margin=0.25, top=20)
    assert sorted(terms(page)) == sorted(scores)
    for above, below in pairwise(page):
        assert below.score <= above.score * 1.25


def test_without_a_page_before_the_order_is_by_score() -> None:
    candidates = [candidate("a", 30), candidate("b", 20), candidate("c", 10)]
    assert terms(listing.ordered(candidates, {}, margin=0.25, top=2)) == ["a", "b"]


def test_words_of_one_phrase_are_one_line_and_the_pair_stands_for_them() -> None:
    found = listing.without_repeats(
        [candidate("storm", 9, 10), candidate("big storm", 8, 9), candidate("storm warning", 8, 9)]
    )
    assert terms(found) == ["big storm"]


def test_a_word_that_many_others_use_alone_is_its_own_line() -> None:
    found = listing.without_repeats([candidate("storm", 9, 100), candidate("big storm", 8, 10)])
    assert terms(found) == ["storm", "big storm"]


def test_ranks_run_by_place_and_score_then_by_count() -> None:
    place, score = np.asarray([1, 0, 1, 0]), np.asarray([1.0, 2.0, 1.0, 3.0])
    order, rank = listing.ranks(place, score, np.asarray([5, 5, 6, 5]), np.asarray([1, 2, 3, 4]))
    assert order.tolist() == [3, 1, 2, 0]
    assert rank.tolist() == [1, 2, 1, 2]


def test_the_score_is_the_distance_from_what_history_lets_expect() -> None:
    authors, mean, variance = (
        np.asarray([20.0, 5.0, 9.0]),
        np.asarray([4.0, 8.0, 0.0]),
        np.asarray([9.0, 0.0, 0.0]),
    )
    assert scoring.score(authors, mean, variance).tolist() == [4.0, 0.0, 8.0]


def test_expected_authors_follow_the_activity_of_the_place_and_the_share_of_returning_authors() -> None:
    moments = scoring.Moments(np.asarray([0.5]), np.asarray([0.5]), weight=0.5)
    mean, variance = scoring.expected(
        moments, 10, authors=np.asarray([5.0]), count=np.asarray([10.0]), activity=np.asarray([2.0])
    )
    assert mean.tolist() == [10.0]
    assert variance.tolist() == [0.0]
