"""What a run learns from examples, and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.labels import HEADS
from training.bundle import Bundle
from training.dataset import Split, prepare, time_split
from training.heads import HeadParameters
from training.linear import fit_linear
from training.train import NOTHING_LEARNED, TrainingPlan, fit

PLAN = TrainingPlan(head=HeadParameters(trees=10, leaves=4), light=HeadParameters(trees=3, leaves=4))

Make = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def frame(examples_frame: Make) -> pd.DataFrame:
    return examples_frame()


def noise(frame: pd.DataFrame, *labels: str) -> Split:
    """The examples with these labels drawn at random."""
    rng = np.random.default_rng(3)
    columns = {f"label_{label}": (rng.random(len(frame)) < 0.2).astype(np.float32) for label in labels}
    return time_split(prepare(frame.assign(**columns)))


def fitted(split: Split) -> Bundle:
    return fit("tried", split, "0" * 64, PLAN, lambda step: None)[0]


def test_every_head_is_trained_and_has_its_weight(frame: pd.DataFrame) -> None:
    bundle = fitted(time_split(prepare(frame)))
    assert tuple(bundle.manifest.heads) == HEADS
    assert bundle.weights == dict(PLAN.weights)
    assert not bundle.manifest.left_out


def test_a_head_that_learned_nothing_is_left_out_and_the_score_is_of_the_others(frame: pd.DataFrame) -> None:
    bundle = fitted(noise(frame, "opened"))
    assert bundle.manifest.left_out == {"opened": NOTHING_LEARNED}
    assert tuple(bundle.weights) == tuple(head for head in HEADS if head != "opened")


def test_where_no_head_learned_anything_all_are_kept_for_the_gate_to_judge(frame: pd.DataFrame) -> None:
    assert tuple(fitted(noise(frame, "engaged", *HEADS)).manifest.heads) == HEADS


def test_a_head_without_examples_is_left_out(frame: pd.DataFrame) -> None:
    bundle = fitted(time_split(prepare(frame.assign(label_dwelt=0.0))))
    assert bundle.manifest.left_out.keys() == {"dwelt"}


def test_the_light_ranker_follows_the_score_of_the_heads(frame: pd.DataFrame) -> None:
    split = time_split(prepare(frame))
    bundle = fitted(split)
    light, full = bundle.light_score(split.test.matrix), bundle.score(split.test.matrix).score
    assert pd.Series(light).corr(pd.Series(full), method="spearman") > 0.8


def test_a_heads_linear_part_has_the_share_that_the_plan_gives_it(frame: pd.DataFrame) -> None:
    split = time_split(prepare(frame))
    alone, blended, linear = (
        fit("tried", split, "0" * 64, replace(PLAN, linear_share=share), lambda step: None)[0]
        for share in (0.0, 0.5, 1.0)
    )
    matrix = split.test.matrix
    odds = [bundle.contributions(matrix)["liked"].sum(axis=1) for bundle in (alone, blended, linear)]
    np.testing.assert_allclose(odds[1], (odds[0] + odds[2]) / 2, atol=1e-6)
    logistic = fit_linear(split.train.matrix, split.train.labels("liked"))
    np.testing.assert_allclose(odds[2], logistic.log_odds(matrix))


def test_the_order_of_lists_alone_has_no_linear_part(frame: pd.DataFrame) -> None:
    plan = replace(PLAN, objective="lambdarank")
    bundle, _ = fit("tried", time_split(prepare(frame)), "0" * 64, plan, lambda step: None)
    assert [spec.linear for spec in bundle.manifest.heads.values()] == [None]
