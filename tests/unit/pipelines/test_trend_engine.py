"""Panes close when every partition is past them, and what was late changes what follows, not the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec
import pytest

from ingestion.events import ClockAdvanced, Event, MarkChanged, RetweetChanged, TweetCreated, encode
from pipelines.trends.board import Row
from pipelines.trends.engine import TrendEngine
from pipelines.trends.occurrences import Reader, marks_of
from pipelines.trends.plan import TrendPlan, Window
from pipelines.trends.terms import TermReader

MINUTE = 60_000
START = 1_350_000_000_000 // MINUTE * MINUTE
PLAN = TrendPlan(
    windows=(Window("2m", 2, 1, 1, 10), Window("4m", 4, 1, 2, 10)),
    late_ms=10_000,
    min_authors=1,
    enter=0.5,
    leave=0.2,
)


def tweet(author: int, second: float, *tags: str, text: str = "", **more: str) -> Event:
    return TweetCreated(
        event_id=f"{author}:{second}",
        ts=START + round(second * 1000),
        tweet_id=1,
        author_id=author,
        text=text,
        hashtags=tags,
        **more,
    )


class Job:
    """An engine and the reader before it."""

    def __init__(self, plan: TrendPlan = PLAN, partitions: int = 1) -> None:
        self.reader = Reader(TermReader({}), plan.pane_ms, plan.languages)
        self.engine = TrendEngine(plan, partitions)
        self.engine.begin(0)

    def feed(self, events: Iterable[Event], partition: int = 0, at_ms: int = 0) -> list[Row]:
        record = self.reader.read(partition, [encode(event) for event in events])
        self.engine.take(msgspec.msgpack.encode(record), at_ms)
        return self.engine.close_panes(at_ms)

    def judge(self, *values: bytes) -> None:
        self.engine.take(msgspec.msgpack.encode(marks_of(values)), 0)


def figures(rows: Sequence[Row], window: str = "2m", place: str = "world") -> dict[float, dict[str, int]]:
    """Minutes from the start -> term -> authors."""
    found: dict[float, dict[str, int]] = {}
    for row in rows:
        if (row.window, row.place) == (window, place):
            found.setdefault((row.as_of - START) / MINUTE, {})[row.term] = row.authors
    return found


def crowd(number: int, second: float, *tags: str, **more: str) -> list[Event]:
    """The same from three authors, others for each number."""
    return [tweet(3 * number + one, second, *tags, **more) for one in range(3)]


def test_a_pane_closes_when_an_event_is_later_than_its_end_and_the_allowance() -> None:
    job = Job()
    assert job.feed([*crowd(1, 5, "a"), *crowd(2, 50, "a"), tweet(1, 69, "a")]) == []
    assert figures(job.feed([tweet(1, 70, "b")])) == {1: {"#a": 6}}


def test_all_partitions_are_waited_for_until_they_fall_silent() -> None:
    job = Job(partitions=2)
    assert job.feed([*crowd(1, 5, "a"), tweet(1, 200, "b")], partition=0) == []
    assert figures(job.feed([*crowd(2, 6, "a"), *crowd(2, 75, "b")], partition=1)) == {1: {"#a": 6}}
    later = job.feed([tweet(1, 201, "b")], partition=0, at_ms=PLAN.idle_ms)
    assert set(figures(later)) == {2, 3}


def test_a_late_tweet_counts_in_the_windows_that_still_hold_its_minute() -> None:
    job = Job()
    first = job.feed([*crowd(1, 5, "a"), *crowd(2, 75, "b")])
    shown = {(page.place, page.window): page for page in job.engine.pages()}
    then = job.feed([*crowd(3, 6, "a"), tweet(4, 135, "c")])
    assert figures(first) == {1: {"#a": 3}}
    assert shown["world", "2m"].items[0].authors == 3
    assert figures(then) == {2: {"#a": 6, "#b": 3}}


def test_a_clock_right_behind_the_last_tweet_closes_its_minute() -> None:
    job = Job()
    job.feed(crowd(1, 5, "a"))
    assert set(figures(job.feed([ClockAdvanced(event_id="clock", ts=START + 5001)]))) == {1}


def test_a_clock_closes_what_was_recorded_and_no_more() -> None:
    job = Job()
    job.feed([*crowd(1, 5, "a"), *crowd(2, 130, "b")])
    clock = ClockAdvanced(event_id="clock", ts=START + 100 * MINUTE)
    assert set(figures(job.feed([clock]))) == {3}
    assert set(figures(job.feed([tweet(3, 400, "c")]))) == {4}


def test_a_pause_lets_every_window_run_empty_and_is_then_skipped() -> None:
    job = Job()
    job.feed(crowd(1, 5, "a"))
    rows = job.feed([*crowd(2, 1e6, "b"), tweet(3, 1e6 + 100, "c")])
    assert set(figures(rows)) == {1, 2, 1e6 // 60 + 1, 1e6 // 60 + 2}


def test_an_author_counts_once_a_minute_however_often_and_retweets_do_not() -> None:
    job = Job()
    retweet = RetweetChanged(
        event_id="r", ts=START, retweet_id=9, user_id=7, tweet_id=1, author_id=1, active=True
    )
    often = [event for second in range(20) for event in crowd(1, second, "a", "A")]
    rows = job.feed([*often, retweet, tweet(2, 75, "z")])
    assert [(row.term, row.tweets, row.authors) for row in rows if row.window == "2m"] == [("#a", 3, 3)]


def test_places_have_lists_of_their_own_and_languages_where_wanted() -> None:
    job = Job(replace(PLAN, languages=True))
    rows = job.feed([*crowd(1, 5, "a", place="Lyon, France", lang="fr"), tweet(2, 75, "b", place="Rome")])
    assert {row.place for row in rows} == {"world", "France", "Lyon, France", "lang:fr"}


def test_a_hashtag_and_the_same_letters_in_words_are_one_term_shown_as_the_hashtag() -> None:
    job = Job()
    rows = job.feed([tweet(1, 5, text="storm harbour"), tweet(2, 6, "StormHarbour"), tweet(3, 75, "z")])
    assert figures(rows)[1]["#stormharbour"] == 2


def test_a_page_says_since_when_a_term_is_listed() -> None:
    job = Job()
    for minute in range(3):
        growing = [event for n in range(4**minute) for event in crowd(n, 60 * minute + 5, "a")]
        job.feed([*growing, tweet(0, 60 * minute + 75, "z")])
    page = next(page for page in job.engine.pages() if page.window == "2m")
    assert page.as_of == START + 3 * MINUTE
    assert [(item.term, item.since) for item in page.items] == [("#a", START + MINUTE)]


@pytest.mark.parametrize("at", range(6))
def test_a_restored_engine_goes_on_as_if_nothing_had_happened(at: int) -> None:
    log = [
        [event for k in range(4) for event in crowd(n % 5, 30 * n + 7 * k, f"t{(n * k) % 4}")]
        for n in range(12)
    ]
    whole, broken = Job(), Job()
    expected, found = [], []
    for number, events in enumerate(log):
        expected.append((whole.feed(events), whole.engine.pages()))
        found.append((broken.feed(events), broken.engine.pages()))
        if number == at:
            state = broken.engine.pack()
            broken.engine = TrendEngine(PLAN, 1)
            broken.engine.unpack(state)
            broken.engine.begin(0)
    assert any(rows and pages for rows, pages in expected)
    assert found == expected


def mark(account: int, verdict: str, second: int, by_person: bool = False) -> bytes:
    return encode(
        MarkChanged(
            event_id=f"m{second}",
            ts=START + second * 1000,
            target="account",
            target_id=account,
            verdict=verdict,
            reason="identical_text",
            by_person=by_person,
        )
    )


def test_accounts_in_quarantine_do_not_count_and_count_again_when_let_out() -> None:
    job = Job()
    assert figures(job.feed([*crowd(1, 5, "a"), tweet(0, 75, "z")])) == {1: {"#a": 3}}
    job.judge(mark(3, "quarantine", 80), b"no event", mark(4, "limit", 80))
    assert figures(job.feed([*crowd(1, 76, "b"), *crowd(2, 76, "a"), tweet(0, 135, "z")])) == {
        2: {"#a": 5, "#b": 2}
    }
    job.judge(mark(3, "allow", 140, by_person=True), mark(3, "quarantine", 150))
    assert figures(job.feed([*crowd(1, 140, "c"), tweet(0, 195, "z")]))[3]["#c"] == 3


def test_a_restored_engine_knows_who_is_in_quarantine() -> None:
    job = Job()
    job.judge(mark(3, "quarantine", 1))
    state = job.engine.pack()
    job.engine = TrendEngine(PLAN, 1)
    job.engine.unpack(state)
    job.engine.begin(0)
    assert figures(job.feed([*crowd(1, 5, "a"), tweet(0, 75, "z")])) == {1: {"#a": 2}}


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 9"):
        TrendEngine(PLAN, 1).unpack(msgspec.msgpack.encode({"version": 9}))
