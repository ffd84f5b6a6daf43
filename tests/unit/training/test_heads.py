"""The heads: the same trees every time, and missing told apart from zero."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from features.names import MODEL_INPUT
from training.dataset import NoExamplesError, prepare, time_split
from training.heads import (
    HeadParameters,
    distil,
    drop_views,
    model_text,
    train_head,
    usable_heads,
    view_groups,
)

SMALL = HeadParameters(trees=15, leaves=7)


def trees(frame: pd.DataFrame, seed: int, threads: int) -> str:
    split = time_split(prepare(frame))
    held_out = (split.calibration.matrix, split.calibration.labels("engaged"))
    booster = train_head(split.train.matrix, split.train.labels("engaged"), held_out, SMALL, seed, threads)
    # What follows names the thread count.
    return model_text(booster).split("\nparameters:")[0]


def test_the_same_seed_gives_the_same_trees_on_any_number_of_threads(
    examples_frame: Callable[..., pd.DataFrame],
) -> None:
    frame = examples_frame()
    assert trees(frame, seed=1, threads=1) == trees(frame, seed=1, threads=2)


def test_every_column_of_the_model_input_is_in_one_group() -> None:
    assert sorted(column for group in view_groups() for column in group) == list(range(len(MODEL_INPUT)))


def test_a_dropped_view_is_missing_as_a_whole_from_its_share_of_rows() -> None:
    matrix = np.ones((20_000, len(MODEL_INPUT)), dtype=np.float32)
    dropped = np.isnan(drop_views(matrix, 0.05, np.random.default_rng(0)))
    for group in view_groups():
        assert (dropped[:, group].all(axis=1) == dropped[:, group].any(axis=1)).all()
        assert 0.04 < dropped[:, group[0]].mean() < 0.06


def test_missing_is_not_zero_even_in_a_column_that_was_always_there(
    examples_frame: Callable[..., pd.DataFrame],
) -> None:
    frame = examples_frame()
    frame["context_age_hours"] = np.where(np.arange(len(frame)) % 2 == 0, 0.0, 6.0)
    frame["label_engaged"] = (frame["context_age_hours"] == 0).astype(np.float32)
    split = time_split(prepare(frame))
    held_out = (split.calibration.matrix, split.calibration.labels("engaged"))
    booster = train_head(split.train.matrix, split.train.labels("engaged"), held_out, SMALL, 1, 1)
    rows = np.repeat(split.test.matrix[:1], 3, axis=0)
    rows[:, MODEL_INPUT.index("context_age_hours")] = [0.0, 6.0, np.nan]
    zero, six, missing = np.asarray(booster.predict(rows, num_threads=1))
    assert six < missing < zero


def test_a_head_with_too_few_positives_is_left_out_and_the_others_are_not(
    examples_frame: Callable[..., pd.DataFrame],
) -> None:
    frame = examples_frame()
    frame.loc[frame.index[50:], "label_opened"] = 0.0
    frame["label_dwelt"] = 1.0
    heads, left_out = usable_heads(time_split(prepare(frame)))
    assert heads == ("liked", "retweeted", "replied", "hidden")
    assert left_out.keys() == {"opened", "dwelt"}
    assert re.fullmatch(
        r"\d+ of 5,200 examples of the train part were opened, and 100 are needed that were and .* not",
        left_out["opened"],
    )
    assert left_out["dwelt"].startswith("5,200 of 5,200")


def test_without_any_usable_head_there_is_nothing_to_train(
    examples_frame: Callable[..., pd.DataFrame],
) -> None:
    with pytest.raises(NoExamplesError, match=r"too few labelled examples for any head: .* were liked"):
        usable_heads(time_split(prepare(examples_frame(lists=10))))


def test_the_distilled_ranker_orders_as_the_score_that_it_learned(
    examples_frame: Callable[..., pd.DataFrame],
) -> None:
    split = time_split(prepare(examples_frame()))
    column = MODEL_INPUT.index("pair_engagement_rate")
    scores = {name: np.exp(np.nan_to_num(part.matrix[:, column])) for name, part in split.parts.items()}
    held_out = (split.calibration.matrix, scores["calibration"])
    light = distil(split.train.matrix, scores["train"], held_out, SMALL, 1, 1)
    said = pd.Series(np.asarray(light.predict(split.test.matrix, num_threads=1)))
    assert said.corr(pd.Series(scores["test"]), method="spearman") > 0.95
