"""Trends equal plain counting by sets, and find planted bursts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.trends import STREAM_PLAN, burst_figures, rows_of
from benchmarks.trends_plain import PlainTrends, letters_of, parts_of, recall, terms_of
from ingestion.clock import no_shift
from ingestion.datasets.dataset import DatasetError
from ingestion.datasets.public_stream import PublicStream
from ingestion.events import ClockAdvanced, TweetCreated
from ingestion.world.plan import WorldPlan
from pipelines.trends.stop_words import stop_words

PLAN = replace(STREAM_PLAN, min_authors=2)
START = 1_350_000_000_000 // PLAN.pane_ms * PLAN.pane_ms
WORDS = ("storm", "Harbour", "the", "world", "東京", "テレビ", "の", "дождь", "#storm", "@storm", "a-b", ",")
Post = tuple[int, int, list[str], list[str], str]
posts = st.tuples(
    st.integers(0, 8 * 60),
    st.integers(1, 9),
    st.lists(st.sampled_from(WORDS), max_size=6),
    st.lists(st.sampled_from(("Storm", "worldstorm", "東京")), max_size=2),
    st.sampled_from(("en", "ja")),
)


def compare(tweets: list[TweetCreated], end_ms: int) -> list[float]:
    """The scores of every list, ours and plainly counted, must agree; returns the recalls."""
    clock = ClockAdvanced(event_id="clock", ts=end_ms)
    found: dict[tuple[str, str, int], dict[str, float]] = {}
    for row in rows_of([*tweets, clock], PLAN):
        found.setdefault((row.place, row.window, row.as_of), {})[letters_of(row.term)] = row.score
    counted = PlainTrends(PLAN.pane_ms, PLAN.min_authors)
    stop = parts_of(stop_words())
    for tweet in tweets:
        counted.add(tweet, ("world", f"lang:{tweet.lang}"), terms_of(tweet, stop))
    recalls = []
    last = max(pane for panes in counted.totals.values() for pane in panes)
    first = min(pane for panes in counted.totals.values() for pane in panes)
    for place in counted.totals:
        for window in PLAN.windows:
            for now in range(first, last + 1):
                expected = counted.scores(place, now, window.panes, window.half_life)
                ours = found.get((place, window.name, (now + 1) * PLAN.pane_ms), {})
                if len(expected) <= PLAN.top:
                    shown = {term: score for term, score in expected.items() if score >= 1e-3}
                    assert {term: ours.get(term, 0.0) for term in shown} == pytest.approx(shown, abs=2e-3)
                if (share := recall(list(ours), expected, 20)) is not None:
                    recalls.append(share)
    return recalls


@settings(max_examples=25, deadline=None)
@given(st.lists(posts, min_size=1, max_size=60))
def test_every_list_equals_plain_counting(drawn: list[Post]) -> None:
    tweets = [
        TweetCreated(
            event_id=str(number),
            ts=START + second * 1000,
            tweet_id=number,
            author_id=author,
            text=" ".join(words),
            lang=lang,
            hashtags=tuple(tags),
        )
        for number, (second, author, words, tags, lang) in enumerate(sorted(drawn, key=lambda post: post[0]))
    ]
    compare(tweets, START + 10 * PLAN.pane_ms)


def test_lists_of_real_tweets_equal_plain_counting() -> None:
    try:
        dataset = PublicStream(Path(os.environ.get("TIDELINE_DATA", "../shared/data")))
    except DatasetError as error:
        pytest.skip(str(error))
    events = dataset.events(no_shift(dataset.recordings))
    recording = dataset.recordings[-1]
    tweets = [e for e in events if isinstance(e, TweetCreated) and e.ts >= recording.first_ms and e.lang]
    recalls = compare(tweets, recording.last_ms)
    assert len(recalls) > 20
    assert min(recalls) >= 0.99


def test_planted_bursts_are_listed_within_minutes_and_little_else_is() -> None:
    figures = burst_figures(WorldPlan(seed=5, days=2))
    assert figures["recall"] >= 0.9
    assert figures["precision"] >= 0.9
    assert figures["burst_minutes"] <= 5


def test_ties_with_the_last_of_the_best_are_hits() -> None:
    scores = {"a": 3.0, "b": 2.0, "c": 2.0, "d": 1.0}
    assert recall(["a", "c"], scores, 2) == 1.0
    assert recall(["a", "d"], scores, 2) == 0.5
    assert recall([], {}, 2) is None
