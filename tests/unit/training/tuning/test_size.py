"""The work of trees, counted."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from training.tuning.size import decisions

ROWS = np.random.default_rng(0).random((4000, 3))
LABELS = (ROWS[:, 0] + 0.3 * ROWS[:, 1] > 0.6).astype(np.float64)


def grown(trees: int, leaves: int) -> lightgbm.Booster:
    settings = {"objective": "binary", "num_leaves": leaves, "verbosity": -1, "num_threads": 1, "seed": 0}
    return lightgbm.train(settings, lightgbm.Dataset(ROWS, LABELS), num_boost_round=trees)


def test_a_row_passes_one_decision_in_each_tree_of_two_leaves() -> None:
    assert decisions(grown(7, 2)) == pytest.approx(7)


def test_decisions_are_the_mean_depth_of_the_leaves_that_rows_end_in() -> None:
    booster = grown(5, 12)
    table = booster.trees_to_dataframe()
    leaves = table[table["split_feature"].isna()]
    depths = (leaves["node_depth"] - 1) * leaves["count"]
    assert decisions(booster) == pytest.approx(float(depths.sum() / len(ROWS)))


def test_a_tree_that_learned_nothing_is_no_work() -> None:
    constant = lightgbm.train(
        {"objective": "binary", "verbosity": -1, "num_threads": 1},
        lightgbm.Dataset(np.zeros((200, 1)), LABELS[:200]),
        num_boost_round=3,
    )
    assert decisions(constant) == 0.0
