"""The linear model: learns a slope, and keeps to what it has learned from."""

from __future__ import annotations

import numpy as np
import pytest

from training.linear import MOST_DEVIATIONS, fit_linear


def learned(rows: int = 2000):
    rng = np.random.default_rng(5)
    matrix = rng.normal(0.0, 1.0, (rows, 3)).astype(np.float32)
    matrix[:, 2] = 7.0
    labels = (rng.random(rows) < 1 / (1 + np.exp(-2 * matrix[:, 0]))).astype(float)
    return fit_linear(matrix, labels), matrix


def test_what_speaks_for_a_label_raises_the_odds():
    model, matrix = learned()
    assert np.corrcoef(model.log_odds(matrix), matrix[:, 0])[0, 1] > 0.95
    assert abs(model.slopes.weights[1]) < abs(model.slopes.weights[0]) / 5


def test_a_missing_feature_counts_as_its_mean():
    model, _ = learned()
    missing = np.full((1, 3), np.nan, dtype=np.float32)
    assert model.log_odds(missing) == pytest.approx(model.slopes.intercept)


def test_a_constant_feature_that_changes_later_says_nothing():
    model, matrix = learned()
    changed = matrix.copy()
    changed[:, 2] = 1e6
    np.testing.assert_array_equal(model.log_odds(changed), model.log_odds(matrix))


def test_what_was_hardly_ever_there_before_cannot_decide_alone():
    model, matrix = learned()
    far = np.array([[1e30, 0.0, 7.0]], dtype=np.float32)
    assert (
        model.log_odds(far) <= model.slopes.intercept + np.abs(model.slopes.weights).sum() * MOST_DEVIATIONS
    )
    assert model.log_odds(far) > model.log_odds(matrix).max()


def test_a_row_has_the_same_odds_alone_and_in_company():
    model, matrix = learned()
    alone = [model.log_odds(matrix[row : row + 1])[0] for row in range(50)]
    assert alone == model.log_odds(matrix[:50]).tolist()


def test_what_the_features_add_has_a_mean_of_nothing_and_sums_to_the_odds():
    model, matrix = learned()
    effects = model.slopes.effects(model.scaling.apply(matrix))
    np.testing.assert_allclose(effects[:, :-1].mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(effects.sum(axis=1), model.log_odds(matrix))
    assert set(effects[:, -1]) == {model.slopes.intercept}
