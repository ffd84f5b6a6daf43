"""Examples: what is refused, how time splits them, what the fingerprint sees."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from features.names import MODEL_INPUT
from training.dataset import DatasetError, NoExamplesError, prepare, time_split

Make = Callable[..., pd.DataFrame]


def test_missing_columns_are_named(examples_frame: Make) -> None:
    frame = examples_frame(lists=5).drop(columns=["label_engaged", "user_tweets"])
    with pytest.raises(DatasetError, match="lack the columns label_engaged, user_tweets"):
        prepare(frame)


def test_no_rows_are_no_examples(examples_frame: Make) -> None:
    with pytest.raises(NoExamplesError, match="no labelled examples"):
        prepare(examples_frame(lists=5).iloc[:0])


def test_a_label_that_is_neither_0_nor_1_is_refused(examples_frame: Make) -> None:
    frame = examples_frame(lists=5)
    frame.loc[3, "label_engaged"] = np.nan
    with pytest.raises(DatasetError, match="label_engaged"):
        prepare(frame)


def test_missing_features_stay_missing(examples_frame: Make) -> None:
    frame = examples_frame(lists=5)
    column = MODEL_INPUT.index("pair_engagement_rate")
    missing = np.isnan(prepare(frame).matrix[:, column])
    assert missing.sum() == frame["pair_engagement_rate"].isna().sum() > 0


def test_no_request_straddles_the_split_and_time_only_goes_forward(examples_frame: Make) -> None:
    split = time_split(prepare(examples_frame().sample(frac=1, random_state=1)))
    frames = [part.frame for part in split.parts.values()]
    ids = [set(frame["request_id"]) for frame in frames]
    assert len(set.union(*ids)) == sum(map(len, ids)) == 400
    for earlier, later in itertools.pairwise(frames):
        assert earlier["event_timestamp"].max() < later["event_timestamp"].min()


def test_the_split_keeps_every_row_in_the_asked_shares(examples_frame: Make) -> None:
    split = time_split(prepare(examples_frame(lists=400)), calibration=0.15, test=0.2)
    assert [part.requests.max() + 1 for part in split.parts.values()] == [260, 60, 80]


def test_a_request_whose_rows_differ_in_time_stays_whole(examples_frame: Make) -> None:
    frame = examples_frame()
    late = frame.groupby("request_id").cumcount() > 10
    frame.loc[late, "event_timestamp"] += pd.Timedelta(minutes=30)
    split = time_split(prepare(frame))
    assert sum(part.frame["request_id"].nunique() for part in split.parts.values()) == 400


def test_a_part_without_both_kinds_is_too_little_to_learn_from(examples_frame: Make) -> None:
    frame = examples_frame()
    frame["label_engaged"] = 0.0
    with pytest.raises(NoExamplesError, match="rows that were engaged and rows that were not"):
        time_split(prepare(frame))


def test_the_fingerprint_is_of_the_content_not_of_the_order(examples_frame: Make) -> None:
    frame = examples_frame(lists=20)
    shuffled = frame.sample(frac=1, random_state=2)
    assert prepare(frame).fingerprint == prepare(shuffled).fingerprint


def test_one_changed_value_changes_the_fingerprint(examples_frame: Make) -> None:
    frame = examples_frame(lists=20)
    before = prepare(frame).fingerprint
    frame.loc[7, "tweet_likes"] += 1
    assert prepare(frame).fingerprint != before


def test_a_showing_without_a_moment_is_refused(examples_frame: Make) -> None:
    frame = examples_frame(lists=5)
    frame.loc[3, "event_timestamp"] = pd.NaT
    with pytest.raises(DatasetError, match="event_timestamp of the training examples must hold a moment"):
        prepare(frame)


def test_showings_from_the_future_are_refused_with_their_number_and_moment(examples_frame: Make) -> None:
    frame = examples_frame(lists=5)
    began = frame["event_timestamp"].min()
    assert len(prepare(frame, now=began - pd.Timedelta(hours=23))) == len(frame)
    with pytest.raises(
        DatasetError, match="40 training examples are from the future, the first of 2026-01-01"
    ):
        prepare(frame, now=began + pd.Timedelta(minutes=2) - pd.Timedelta(days=1))


def test_constant_features_are_named_and_partly_missing_ones_are_not_constant(examples_frame: Make) -> None:
    frame = examples_frame(lists=5)
    assert prepare(frame).constant_features == ()
    frame["user_tweets"], frame["tweet_likes"], frame["context_hour"] = 3.0, np.nan, 7.0
    frame.loc[0, "context_hour"] = np.nan
    assert prepare(frame).constant_features == ("user_tweets", "tweet_likes")
