"""The folds behind the engagement features."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.aggregates import (
    HOUR_MS,
    PANE_MS,
    EngagementFold,
    Engagements,
    TweetEngagement,
    falls_out,
    pane_of,
    smoothed_rate,
)

changes = st.lists(
    st.tuples(
        st.sampled_from(["like", "retweet", "reply", "quote"]),
        st.integers(0, 3),
        st.integers(0, 3 * HOUR_MS),
        st.text("abc", min_size=1, max_size=2),
        st.booleans(),
    ),
    max_size=30,
    unique_by=lambda change: (change[2], change[3]),
)
pane_values = st.lists(
    st.tuples(st.integers(0, 40), st.builds(Engagements, *[st.integers(0, 5)] * 4)), max_size=20
)


@given(changes, st.randoms(use_true_random=False))
def test_the_fold_does_not_depend_on_order_or_on_repetition(log, random) -> None:
    again = [*log, *log]
    random.shuffle(again)
    assert EngagementFold().apply_all(again).engagement() == EngagementFold().apply_all(log).engagement()


@given(changes)
def test_totals_are_the_edges_whose_last_change_is_active(log) -> None:
    last: dict = {}
    for change in sorted(log, key=lambda change: (change[2], change[3])):
        last[change[:2]] = change[4]
    totals = EngagementFold().apply_all(log).engagement().totals()
    assert sum(totals) == sum(last.values())
    assert totals.likes == sum(active for (kind, _), active in last.items() if kind == "like")


def test_a_like_taken_back_and_given_again_counts_once() -> None:
    fold = EngagementFold()
    for ts, active in ((1, True), (2, False), (3, True)):
        fold.apply("like", 7, ts, f"e{ts}", active)
    assert fold.engagement().totals() == Engagements(likes=1)


def test_changes_of_the_same_millisecond_are_ordered_by_event_id() -> None:
    fold = EngagementFold()
    fold.apply("like", 7, 5, "b", False)
    fold.apply("like", 7, 5, "a", True)
    assert fold.engagement().totals() == Engagements()


@given(pane_values)
def test_the_state_survives_its_encoding(values) -> None:
    tweet = TweetEngagement()
    for pane, counts in values:
        tweet.replace(pane * PANE_MS, counts, pane)
    assert TweetEngagement.decode(tweet.encode()) == tweet


def test_no_state_is_an_empty_tweet_and_a_foreign_layout_is_refused() -> None:
    assert TweetEngagement.decode(None).totals() == Engagements()
    with pytest.raises(ValueError, match="layout 9"):
        TweetEngagement.decode(b"\x09" + TweetEngagement().encode()[1:])


@given(st.integers(0, 10 * HOUR_MS))
def test_a_pane_counts_until_an_hour_after_its_start(ts) -> None:
    tweet = TweetEngagement()
    tweet.replace(pane_of(ts), Engagements(likes=2, quotes=1), ts)
    moment = falls_out(pane_of(ts))
    assert (tweet.last_hour(moment - 1), tweet.last_hour(moment)) == (3, 0)
    assert tweet.totals() == Engagements(likes=2, quotes=1)
    assert ts + HOUR_MS - PANE_MS < moment <= ts + HOUR_MS


@given(st.lists(st.integers(0, 100), min_size=1))
def test_the_version_never_goes_back(moments) -> None:
    tweet = TweetEngagement()
    seen = []
    for moment in moments:
        tweet.replace(0, Engagements(likes=1), moment)
        seen.append(tweet.version)
    assert seen == sorted(seen)


@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0.1, 100))
def test_a_smoothed_rate_lies_between_what_was_seen_and_the_prior(trials, prior, weight) -> None:
    rate = smoothed_rate(trials, trials, prior, weight)
    assert prior - 1e-9 <= rate <= 1 + 1e-9
    assert smoothed_rate(0, 0, prior, weight) == pytest.approx(prior)


def test_a_rate_without_trials_and_prior_is_refused() -> None:
    with pytest.raises(ValueError, match="No rate"):
        smoothed_rate(0, 0, 0.5, 0)
