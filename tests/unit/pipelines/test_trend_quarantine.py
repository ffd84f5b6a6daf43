"""A tweet in quarantine is in no window, whether its mark or the tweet itself came first."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestion.events import MarkChanged, TweetCreated, Verdict, encode
from pipelines.trends.board import Row
from pipelines.trends.engine import TrendEngine
from pipelines.trends.marks import Mark, Quarantine
from pipelines.trends.occurrences import Occurrences, Reader, author_hashes, marks_of
from pipelines.trends.plan import TrendPlan, Window
from pipelines.trends.recent_tweets import RecentTweets, tweet_hashes
from pipelines.trends.terms import TermReader

MINUTE = 60_000
START = 1_350_000_000_000 // MINUTE * MINUTE
# Nothing leaves the window: without history the score follows the authors.
PLAN = TrendPlan(windows=(Window("1h", 60, 1, 1, 10),), late_ms=10_000, min_authors=1, enter=0.5, leave=0.2)


def tweet(number: int, author: int, second: float, *tags: str) -> TweetCreated:
    return TweetCreated(
        event_id=f"t{number}",
        ts=START + round(1000 * second),
        tweet_id=number,
        author_id=author,
        text="",
        hashtags=tags,
    )


def mark(number: int, verdict: Verdict = "quarantine", second: int = 0, by_person: bool = False) -> bytes:
    return encode(
        MarkChanged(
            event_id=f"m{second}",
            ts=START + 1000 * second,
            target="tweet",
            target_id=number,
            verdict=verdict,
            reason="identical_text",
            by_person=by_person,
        )
    )


class Job:
    """An engine and the reader before it."""

    def __init__(self) -> None:
        self.reader = Reader(TermReader({}), PLAN.pane_ms)
        self.restore()

    def restore(self, state: bytes | None = None) -> None:
        self.engine = TrendEngine(PLAN, 1)
        if state is not None:
            self.engine.unpack(state)
        self.engine.begin(0)

    def feed(self, *tweets: TweetCreated) -> list[Row]:
        self.take(self.reader.read(0, [encode(one) for one in tweets]))
        return self.engine.close_panes(0)

    def judge(self, *marks: bytes) -> None:
        self.take(marks_of(marks))

    def take(self, record: Occurrences) -> None:
        self.engine.take(msgspec.msgpack.encode(record), 0)

    def authors(self, minute: int) -> dict[str, int]:
        """Term -> authors when this minute, from 0, is closed by a tweet of the next."""
        return figures(self.feed(tweet(10**6 + minute, 10**6, 60 * minute + 75, "next")))


def figures(rows: Iterable[Row]) -> dict[str, int]:
    """Term -> authors of the last list, for those that more than one author used."""
    found = list(rows)
    return {row.term: row.authors for row in found if row.as_of == found[-1].as_of}


def crowd(second: float, *tags: str, first: int = 1) -> list[TweetCreated]:
    """The same from five authors, tweets and authors numbered from ``first``."""
    return [tweet(first + one, first + one, second, *tags) for one in range(5)]


def test_a_tweet_marked_after_it_was_counted_leaves_the_windows_and_its_author_stays() -> None:
    job = Job()
    job.feed(*crowd(5, "spam"))
    assert job.authors(0) == {"#spam": 5}
    job.judge(mark(1), mark(2))
    job.feed(tweet(50, 1, 80, "other"), tweet(51, 2, 80, "other"))
    assert job.authors(1) == {"#spam": 3, "#other": 2}


def test_a_tweet_marked_before_it_comes_is_not_counted() -> None:
    job = Job()
    job.judge(mark(1), mark(2))
    job.feed(*crowd(5, "spam"))
    assert job.authors(0) == {"#spam": 3}


def test_a_tweet_whose_minute_is_open_when_the_mark_comes_is_not_counted() -> None:
    job = Job()
    job.feed(*crowd(5, "spam"))
    job.judge(mark(1))
    assert job.authors(0) == {"#spam": 4}


def test_a_term_of_another_tweet_of_the_same_author_and_minute_stays() -> None:
    job = Job()
    job.feed(*crowd(5, "spam", "shared"), *(tweet(50 + n, n, 6, "shared") for n in range(1, 6)))
    job.authors(0)
    job.judge(*(mark(number) for number in range(1, 4)))
    assert job.authors(1) == {"#spam": 2, "#shared": 5}


def test_a_late_tweet_upholds_the_terms_of_one_that_is_marked() -> None:
    job = Job()
    job.feed(*crowd(5, "a"))
    job.authors(0)
    job.feed(tweet(50, 1, 6, "a"))
    job.judge(mark(1), mark(2))
    assert job.authors(1) == {"#a": 4}
    job.judge(mark(50))
    assert job.authors(2) == {"#a": 3}


def test_from_the_eighth_tweet_of_a_minute_on_an_accounts_tweets_leave_together() -> None:
    job = Job()
    # One after the other: the numbers 11 to 19 are the turns 0 to 8.
    many = [tweet(10 + turn, 1, turn, f"tag{turn}") for turn in range(1, 10)]
    job.feed(
        *many, *(tweet(30 + turn, 2, 30, f"tag{turn}", "x") for turn in range(1, 10)), tweet(40, 3, 50, "x")
    )
    before = job.authors(0)
    job.judge(mark(12), mark(18))
    after = job.authors(1)
    assert set(before) - set(after) == {"#tag2", "#tag8", "#tag9"}


def test_a_tweet_delivered_twice_is_taken_out_whole_and_once() -> None:
    job = Job()
    job.feed(*crowd(5, "a"), *crowd(5, "a"))
    job.authors(0)
    job.judge(mark(1))
    job.judge(mark(1))
    job.judge(mark(1, second=5))
    job.feed(*crowd(5, "a"))
    assert job.authors(1) == {"#a": 4}


def test_a_tweet_that_a_person_let_out_counts_if_it_was_not_yet_taken_out() -> None:
    job = Job()
    job.judge(mark(1), mark(1, "allow", 1, by_person=True), mark(1, second=2))
    job.feed(*crowd(5, "a"))
    assert job.authors(0) == {"#a": 5}
    job.judge(mark(2), mark(2, "allow", 3))
    assert job.authors(1) == {"#a": 5}


def test_a_mark_on_a_tweet_that_limits_or_that_cannot_be_is_nothing_to_trends() -> None:
    job = Job()
    job.judge(mark(1, "limit"), mark(-1), mark(1 << 63))
    job.feed(*crowd(5, "a"))
    assert job.authors(0) == {"#a": 5}


posts = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.booleans()), max_size=8)


@given(st.lists(posts, min_size=2, max_size=8), st.integers(0, 8), st.integers(0, 8))
def test_lists_equal_those_of_a_log_without_the_marked_tweets(
    log: list[list[tuple[int, int, bool]]], at: int, packed_at: int
) -> None:
    """Marks come before the tweets of minute ``at``, on some before and some after it; bits are terms."""
    marked, plain, number = Job(), Job(), 0
    minutes = []
    for minute, rows in enumerate(log):
        end = tweet(10**6 + minute, 10**6, 60 * minute + 15, "end")
        minutes.append([(end, False)])
        for author, bits, bad in rows:
            number += 1
            tags = [f"tag{bit}" for bit in range(3) if bits >> bit & 1]
            # Every third comes a minute late.
            second = 60 * max(0, minute - (number % 3 == 0)) + 20
            minutes[-1].append((tweet(number, author, second, *tags), bad))
    bad_ids = [one.tweet_id for tweets in minutes for one, bad in tweets if bad]
    for minute, tweets in enumerate(minutes):
        if minute == at:
            marked.judge(*(mark(number) for number in bad_ids))
        if minute == packed_at:
            marked.restore(marked.engine.pack())
        found = marked.feed(*(one for one, _ in tweets))
        expected = plain.feed(*(one for one, bad in tweets if not bad))
        if minute >= at:
            assert [row[:7] for row in found] == [row[:7] for row in expected]


def test_a_restored_engine_knows_marks_and_tweets() -> None:
    job = Job()
    job.feed(*crowd(5, "a"))
    job.authors(0)
    job.judge(mark(1), mark(101))
    job.restore(job.engine.pack())
    job.judge(mark(2))
    job.feed(*crowd(80, "b", first=100))
    assert job.authors(1) == {"#a": 3, "#b": 4}


def test_a_state_of_before_tweets_were_known_is_read_and_loses_nothing() -> None:
    job = Job()
    job.feed(*crowd(5, "a"))
    job.authors(0)
    job.feed(*crowd(76, "b"))
    job.restore(as_of_version_1(job.engine.pack()))
    job.take(row_by_row(job.reader.read(0, [encode(one) for one in crowd(77, "b", first=6)])))
    job.judge(mark(1), mark(6))
    job.feed(*crowd(78, "b", first=11))
    job.judge(mark(11))
    assert job.authors(1) == {"#a": 5, "#b": 14}


def as_of_version_1(state: bytes) -> bytes:
    packed = msgspec.msgpack.decode(state)
    packed["version"] = 1
    del packed["tweets"], packed["tweet_marks"]
    windows = packed["board"]["windows"]
    windows["log"] = [log[:4] for log in windows["log"]]
    pending = msgspec.msgpack.decode(packed["pending"], type=list[Occurrences])
    packed["pending"] = msgspec.msgpack.encode([row_by_row(record) for record in pending])
    return msgspec.msgpack.encode(packed)


def row_by_row(record: Occurrences) -> Occurrences:
    """As records were that named the author of each row, and no tweet."""
    authors = np.frombuffer(record.authors, np.uint32)[np.frombuffer(record.tweets, np.int32)]
    return msgspec.structs.replace(record, authors=authors.tobytes(), tweets=b"", ids=b"")


def test_of_many_marks_those_of_the_lowest_rank_are_forgotten() -> None:
    quarantine = Quarantine(tweet_hashes, most=10)
    quarantine.judge(Mark(number, True, (number == 0, number, "m")) for number in range(11))
    assert quarantine.has(tweet_hashes(range(11))).nonzero()[0].tolist() == [0, 7, 8, 9, 10]


def test_of_many_tweets_the_earliest_are_forgotten() -> None:
    recent = RecentTweets(most=10)
    for pane in range(4):
        ids = range(4 * pane, 4 * pane + 4)
        recent.add(pane, tweet_hashes(ids), author_hashes(ids), oldest=0)
    assert recent.find(tweet_hashes(range(16)))[0].tolist() == [1, 2, 2, 2, 2, 3, 3, 3, 3]
