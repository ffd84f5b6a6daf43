"""Logged features beside the offline ones of the same moment."""

from __future__ import annotations

import numpy as np
import pytest

from features.names import MODEL_INPUT, VIEWS
from features.parity import BATCH_FEATURES, COMPARED, ParityReport, Values, compare
from features.settings import ParitySettings

LIMITS = ParitySettings()
ROWS = 400

Sides = dict[str, Values]


@pytest.fixture
def offline() -> Sides:
    values = np.random.default_rng(7).gamma(2.0, 1.0, (ROWS, len(MODEL_INPUT))).astype(np.float32)
    return {name: values[:, place].copy() for place, name in enumerate(MODEL_INPUT)}


def found(logged: Sides, offline: Sides, *materialized: Sides) -> ParityReport:
    sides = materialized or (offline,)
    return compare(logged, offline, [{name: side[name] for name in BATCH_FEATURES} for side in sides], LIMITS)


def copied(side: Sides, **changed: Values) -> Sides:
    return {name: values.copy() for name, values in side.items()} | changed


def test_what_is_the_same_on_both_sides_agrees(offline: Sides) -> None:
    offline["tweet_likes"][:50] = np.nan
    report = found(copied(offline), offline)
    assert report.rows == ROWS
    assert report.failures(LIMITS) == []
    assert {feature.name for feature in report.features} == {*MODEL_INPUT} - {"context_is_retweet"}
    assert all(feature.share_equal == 1 for feature in report.features)
    likes = next(feature for feature in report.features if feature.name == "tweet_likes")
    assert likes.compared == ROWS - 50


@pytest.mark.parametrize("name", COMPARED)
def test_any_feature_scaled_by_two_in_the_log_is_found_and_no_other(name: str, offline: Sides) -> None:
    report = found(copied(offline, **{name: offline[name] * 2}), offline)
    assert report.failures(LIMITS) == [f"100.0% of {name} differ, above 2.0%"]
    scaled = next(feature for feature in report.features if feature.name == name)
    assert scaled.largest_difference == pytest.approx(offline[name].max(), rel=1e-6)
    assert (scaled.equal, scaled.differing) == (0, ROWS)


def test_a_value_of_the_last_materialization_counts_as_equal_and_is_told(offline: Sides) -> None:
    earlier = copied(offline, user_tweets=offline["user_tweets"] - 1)
    report = found(earlier, offline, earlier)
    assert report.failures(LIMITS) == []
    tweets = next(feature for feature in report.features if feature.name == "user_tweets")
    assert (tweets.equal, tweets.as_materialized) == (ROWS, ROWS)


def test_a_page_may_meet_rows_of_the_last_materialization_and_of_the_one_before(offline: Sides) -> None:
    last = copied(offline, user_tweets=offline["user_tweets"] - 1)
    before = copied(offline, user_tweets=offline["user_tweets"] - 2)
    logged = copied(last)
    logged["user_tweets"][: ROWS // 2] = before["user_tweets"][: ROWS // 2]
    report = found(logged, offline, last, before)
    assert report.failures(LIMITS) == []
    tweets = next(feature for feature in report.features if feature.name == "user_tweets")
    assert (tweets.equal, tweets.as_materialized) == (ROWS, ROWS)
    assert found(logged, offline, last).failures(LIMITS) == ["50.0% of user_tweets differ, above 2.0%"]


def test_a_value_of_the_stream_must_be_that_of_the_moment(offline: Sides) -> None:
    earlier = copied(offline, tweet_likes=offline["tweet_likes"] - 1)
    assert found(earlier, offline, earlier).failures(LIMITS) == ["100.0% of tweet_likes differ, above 2.0%"]


@pytest.mark.parametrize(("side", "told"), [("logged", "in the log"), ("offline", "offline")])
def test_values_on_one_side_only_are_told_apart_from_different_ones(
    side: str, told: str, offline: Sides
) -> None:
    lacking = copied(offline)
    lacking["tweet_length"][:40] = np.nan
    report = found(lacking, offline) if side == "logged" else found(offline, lacking)
    assert report.failures(LIMITS) == [f"10.0% of tweet_length are missing {told}, above 2.0%"]
    length = next(feature for feature in report.features if feature.name == "tweet_length")
    assert (length.differing, length.largest_difference, length.equal) == (0, 0.0, ROWS - 40)


def test_a_share_is_one_of_at_least_the_least_values(offline: Sides) -> None:
    few = copied(offline)
    for side in (few, offline):
        side["pair_affinity"][3:] = np.nan
    few["pair_affinity"][0] *= 2
    assert found(few, offline).failures(LIMITS) == []
    assert found(few, offline).failures(LIMITS.model_copy(update={"least_values": 1})) == [
        "33.3% of pair_affinity differ, above 2.0%"
    ]


def test_a_difference_within_the_tolerance_is_none(offline: Sides) -> None:
    near = copied(offline, tweet_likes=offline["tweet_likes"] * np.float32(1 + 5e-5))
    assert found(near, offline).failures(LIMITS) == []


def test_every_column_of_a_spark_view_is_compared_as_materialized() -> None:
    assert {*BATCH_FEATURES} == {
        column for view in VIEWS if view.engine == "spark" for column in view.columns
    }
    assert {*BATCH_FEATURES} < {*COMPARED}


def test_nothing_to_compare_is_no_disagreement() -> None:
    nothing: Sides = {name: np.full(5, np.nan, dtype=np.float32) for name in MODEL_INPUT}
    report = found(nothing, nothing)
    assert {feature.share_equal for feature in report.features} == {1.0}
    assert report.failures(LIMITS) == []


@pytest.mark.parametrize("rows", [1, 10])
def test_a_few_rows_that_are_wrong_do_not_agree(rows: int, offline: Sides) -> None:
    few = {name: values[:rows] for name, values in offline.items()}
    assert found(copied(few), few).failures(LIMITS) == []
    wrong = found(copied(few, user_tweets=few["user_tweets"] * 3 + 1), few)
    assert wrong.failures(LIMITS) == ["100.0% of user_tweets differ, above 2.0%"]
