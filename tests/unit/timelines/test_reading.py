from __future__ import annotations

from timelines.entry import REPLY, RETWEET, WITHDRAWN, Entries, empty, entries
from timelines.reading import Appearance, active_members, by_authors, collapse, merge, shown


def retweet(
    appearance: int, author: int, original: int, original_author: int = 1
) -> tuple[int, int, int, int, int]:
    return (appearance, author, original, original_author, RETWEET)


def tweet(appearance: int, author: int) -> tuple[int, int, int, int, int]:
    return (appearance, author, appearance, author, 0)


def ids(found: Entries) -> list[int]:
    return [int(number) for number in found["appearance"]]


def test_only_members_with_an_odd_score_are_active() -> None:
    assert active_members([(b"30", 5.0), (b"10", 7.0), ("20", 8.0)]).tolist() == [10, 30]


def test_merge_keeps_each_appearance_once_and_prefers_the_pulled_copy() -> None:
    pushed, pulled = entries([tweet(1, 9), tweet(2, 9)]), entries([tweet(2, 9), tweet(3, 8)])
    pulled["pulled"] = True
    merged = merge([pushed, pulled], 800)
    assert merged[["appearance", "pulled"]].tolist() == [(3, True), (2, True), (1, False)]


def test_merge_cuts_at_the_length() -> None:
    assert ids(merge([entries([tweet(n, 1) for n in range(1, 9)]), empty()], 3)) == [8, 7, 6]


def test_entries_are_filtered_by_who_made_them_appear() -> None:
    found = by_authors(entries([tweet(1, 5), retweet(2, 6, 1, 5)]), active_members([(b"5", 1.0)]))
    assert ids(found) == [1]


def test_withdrawn_entries_are_not_shown() -> None:
    assert ids(shown(entries([(2, 1, 9, 1, RETWEET | WITHDRAWN), tweet(1, 1)]))) == [1]


def test_an_original_stands_once_at_its_newest_appearance_with_its_retweeters_newest_first() -> None:
    found = entries([retweet(9, 30, 4), tweet(8, 2), retweet(7, 20, 4), retweet(6, 30, 4), tweet(4, 1)])
    assert collapse(found) == [
        Appearance(4, 1, 9, 30, (30, 20), is_retweet=True, pulled=False, flags=RETWEET),
        Appearance(8, 2, 8, 2, (), is_retweet=False, pulled=False, flags=0),
    ]


def test_an_appearance_tells_where_it_came_from() -> None:
    found = entries([(5, 2, 5, 2, REPLY)])
    found["pulled"] = True
    assert [(item.pulled, item.flags) for item in collapse(found)] == [(True, REPLY)]


def test_nothing_collapses_to_nothing() -> None:
    assert collapse(empty()) == []
