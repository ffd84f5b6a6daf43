"""What is served lately beside what the model was made on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pandas as pd
import pytest
from model_shelf import PLAN
from prometheus_client import generate_latest

from training.bundle import Bundle
from training.dataset import Split, prepare, time_split
from training.drift import DriftReport, metrics, watch
from training.drift_reference import DriftReference
from training.settings import DriftSettings
from training.train import fit

Make = Callable[..., pd.DataFrame]
# The frame of the fixture has a list a minute from the year's beginning: its last hour and the one before.
END = datetime(2026, 1, 1, 6, 40, tzinfo=UTC)
LIMITS = DriftSettings(hours=1)
LATER = timedelta(hours=24)


@pytest.fixture(scope="module")
def made(examples_frame: Make) -> tuple[Bundle, DriftReference]:
    split: Split = time_split(prepare(examples_frame()))
    bundle, _ = fit("drifting", split, "", PLAN, lambda step: None)
    return bundle, DriftReference.of(split, bundle.score(split.test.matrix).score)


def looked_at(
    made: tuple[Bundle, DriftReference], frame: pd.DataFrame, at: datetime = END, age: float = 1.0
) -> DriftReport:
    bundle, reference = made
    return watch(bundle, "ranker@3", reference, prepare(frame), {"user_activity": age}, at, LIMITS, LATER)


def test_more_of_the_same_is_no_drift(made: tuple[Bundle, DriftReference], examples_frame: Make) -> None:
    report = looked_at(made, examples_frame(seed=4))
    assert (report.rows, report.labelled) == (1200, 0)
    assert report.scores is not None
    assert report.scores < 0.1
    assert max(report.features.values()) < 0.25
    assert report.rates == {}
    assert report.failures(LIMITS) == []


def test_a_feature_that_moved_is_named_and_moves_the_scores(
    made: tuple[Bundle, DriftReference], examples_frame: Make
) -> None:
    frame = examples_frame(seed=4)
    frame["pair_engagement_rate"] += 3
    first, *others = looked_at(made, frame).failures(LIMITS)
    assert first.startswith("pair_engagement_rate has moved by ")
    assert [failure.partition(" by ")[0] for failure in others] == ["the scores have moved"]


def test_labels_are_judged_a_day_later_when_they_are_complete(
    made: tuple[Bundle, DriftReference], examples_frame: Make
) -> None:
    frame = examples_frame(seed=4)
    usual = looked_at(made, frame, END + LATER)
    assert (usual.rows, usual.labelled, usual.features, usual.scores) == (0, 1200, {}, None)
    assert usual.failures(LIMITS) == []
    frame["label_retweeted"] = 0.0
    frame.loc[::100, ["label_engaged", "label_retweeted"]] = 1.0
    [failure] = looked_at(made, frame, END + LATER).failures(LIMITS)
    assert failure.startswith("1.00% of the rows are retweeted, where ")


def test_old_features_are_named(made: tuple[Bundle, DriftReference], examples_frame: Make) -> None:
    report = looked_at(made, examples_frame(lists=5), age=30.0)
    assert report.failures(LIMITS) == ["the newest row of user_activity is 30.0 h old, above 26"]
    assert report.features == {}


def test_prometheus_and_programs_can_read_it(
    made: tuple[Bundle, DriftReference], examples_frame: Make
) -> None:
    report = looked_at(made, examples_frame(seed=4))
    lines = generate_latest(metrics(report)).decode().splitlines()
    assert 'tideline_drift_feature_age_seconds{view="user_activity"} 3600.0' in lines
    assert "tideline_drift_rows 1200.0" in lines
    index = report.features["tweet_likes"]
    assert f'tideline_drift_feature_stability_index{{feature="tweet_likes"}} {index}' in lines
    assert msgspec.json.decode(report.text())["features"]["tweet_likes"] == index


def test_a_reference_is_read_as_it_was_written(made: tuple[Bundle, DriftReference]) -> None:
    _, reference = made
    again = msgspec.json.decode(reference.text(), type=DriftReference)
    assert again.features.keys() == reference.features.keys()
    assert again.features["tweet_likes"] == reference.features["tweet_likes"]
    assert np.isclose(sum(again.scores.shares), 1)
