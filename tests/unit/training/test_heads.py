"""The heads: the same trees every time, and missing told apart from zero."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from features.names import MODEL_INPUT
from training.dataset import prepare, time_split
from training.heads import HeadParameters, drop_views, model_text, train_head, view_groups

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
