"""What else can be learned from the examples: orders of lists behind the baselines' interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.labels import ENGAGED, HEADS
from training.alternatives import fit_alternatives
from training.bundle import Scores
from training.calibration import Platt
from training.dataset import Split, prepare, time_split
from training.evaluation import evaluate
from training.gate import floors
from training.heads import HeadParameters
from training.metrics import ndcg, rankable
from training.train import TrainingPlan, fit

SMALL = HeadParameters(trees=20, leaves=7)
PLAN = TrainingPlan(head=SMALL, light=HeadParameters(trees=5, leaves=4))

Make = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def split(examples_frame: Make) -> Split:
    return time_split(prepare(examples_frame()))


def quality(split: Split, scores: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    requests, labels = split.test.requests, split.test.labels(ENGAGED)
    return float(ndcg(requests, labels, scores)[rankable(requests, labels)].mean())


def test_each_alternative_learns_what_decides(split: Split) -> None:
    newest = quality(split, split.test.frame["tweet"].to_numpy(dtype=np.float64))
    found = {ranker.name: ranker.score(split.test.frame) for ranker in fit_alternatives(split, SMALL, 1, 1)}
    assert found.keys() == {"logistic_regression", "lambdarank"}
    for scores in found.values():
        assert np.isfinite(scores).all()
        assert quality(split, scores) > newest + 0.2


def test_constant_missing_and_infinite_features_do_not_break_them(examples_frame: Make) -> None:
    frame = examples_frame(lists=100)
    frame["user_tweets"], frame["tweet_likes"] = 3.0, np.nan
    frame.loc[::7, "author_tweets"] = np.inf
    split = time_split(prepare(frame))
    for ranker in fit_alternatives(split, SMALL, 1, 1):
        assert np.isfinite(ranker.score(split.test.frame)).all()


def test_the_report_has_them_beside_the_baselines_and_the_gate_asks_for_none(split: Split) -> None:
    truth = split.test.labels(ENGAGED) + 0.1 * split.test.frame["pair_engagement_rate"].fillna(0).to_numpy()
    others = fit_alternatives(split, SMALL, 1, 1)
    report = evaluate(Scores({}, 0.1 * truth), split.test, seed=1, alternatives=others)
    assert set(report.alternatives) == {"logistic_regression", "lambdarank"}
    assert not set(report.alternatives) & set(report.baselines)
    assert "model_over_lambdarank.ndcg_10" in report.metrics()
    beaten = replace(report, alternatives=dict.fromkeys(report.alternatives, report.model))
    assert floors(beaten) == []


def test_a_model_of_the_order_alone_is_a_bundle_with_one_calibrated_head(split: Split) -> None:
    bundle, _ = fit("order", split, "0" * 64, replace(PLAN, objective="lambdarank"), lambda step: None)
    assert tuple(bundle.manifest.heads) == (ENGAGED,)
    assert bundle.manifest.left_out.keys() == set(HEADS)
    assert isinstance(bundle.manifest.heads[ENGAGED].calibrator, Platt)
    scores = bundle.score(split.test.matrix)
    report = evaluate(scores, split.test, seed=1)
    assert report.heads[ENGAGED].rce.value > 0
    assert floors(report) == []
