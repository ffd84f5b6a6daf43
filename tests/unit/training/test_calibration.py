"""Calibration: rates as seen, the model's order kept."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from training.calibration import LEAST_FOR_ISOTONIC, Isotonic, Platt, choose, fit_isotonic, fit_platt
from training.metrics import calibration_error

RNG = np.random.default_rng(4)
TRUE = RNG.beta(1, 8, 20_000)
LABELS = (RNG.random(20_000) < TRUE).astype(np.float64)
SKEWED = TRUE**0.5


def test_skewed_probabilities_become_the_rates_that_were_seen() -> None:
    calibrated = fit_isotonic(SKEWED[:10_000], LABELS[:10_000]).apply(SKEWED[10_000:])
    before = calibration_error(LABELS[10_000:], SKEWED[10_000:])
    assert before > 0.1
    assert calibration_error(LABELS[10_000:], calibrated) < 0.02


def test_candidates_that_the_model_told_apart_are_not_tied() -> None:
    calibrator = fit_isotonic(SKEWED, LABELS)
    raw = np.linspace(0.0, 1.0, 500)
    assert np.all(np.diff(calibrator.apply(raw)) > 0)


def test_no_probability_is_zero_though_nothing_was_seen_there() -> None:
    raw = np.linspace(0.01, 0.5, 1000)
    calibrator = fit_isotonic(raw, (raw > 0.4).astype(np.float64))
    applied = calibrator.apply(raw)
    assert applied[0] > 0
    # Of seven hundred rows without one, the next may well have one.
    assert 0.001 < applied[(raw > 0.1) & (raw < 0.35)].min() < applied[raw < 0.35].max() < 0.005
    assert np.all(np.diff(applied) > 0)


def test_the_rates_of_rare_labels_are_theirs_from_the_lowest_to_the_highest() -> None:
    rare = (RNG.random(20_000) < TRUE**2).astype(np.float64)
    applied = fit_isotonic(TRUE, rare).apply(TRUE)
    top = np.argsort(TRUE)[-200:]
    assert rare.sum() < 600
    np.testing.assert_allclose(applied.mean(), rare.mean(), rtol=0.02)
    np.testing.assert_allclose(applied[top].mean(), rare[top].mean(), rtol=0.05)


def test_what_is_not_a_number_stays_so() -> None:
    assert np.isnan(Isotonic((0.0, 1.0), (0.1, 0.9)).apply(np.array([np.nan])))[0]


def test_labels_of_one_kind_cannot_calibrate() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        fit_isotonic(SKEWED, np.zeros_like(LABELS))


@pytest.mark.parametrize(
    ("x", "y"),
    [((0.0,), (0.1,)), ((0.0, 0.0), (0.1, 0.2)), ((0.0, 1.0), (0.9, 0.1)), ((0.0, 1.0), (0.1, 1.2))],
)
def test_knots_that_do_not_rise_are_refused(x: tuple[float, ...], y: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="calibrator"):
        Isotonic(x, y)


def test_platt_recovers_the_log_odds_that_labels_were_drawn_with():
    rng = np.random.default_rng(4)
    odds = rng.normal(-2.0, 1.5, 20_000)
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    fitted = fit_platt((odds - 0.7) / 2, labels)
    np.testing.assert_allclose(fitted.apply((odds - 0.7) / 2), 1 / (1 + np.exp(-odds)), atol=0.02)


def test_platt_gives_the_mean_for_scores_that_say_the_opposite_and_keeps_their_order():
    raw = np.linspace(-3, 3, 400)
    probabilities = fit_platt(raw, (raw < -1).astype(np.float64)).apply(raw)
    np.testing.assert_allclose(probabilities, (raw < -1).mean(), atol=0.01)
    assert (np.diff(probabilities) > 0).all()


def test_platt_refuses_labels_of_one_kind():
    with pytest.raises(ValueError, match="both kinds"):
        fit_platt(np.zeros(3), np.ones(3))


def log_odds(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(chances) - np.log1p(-chances)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        # Log-odds that are off by a factor and a shift are what Platt's two figures put right.
        (0.5 * log_odds(TRUE) - 1.0, Platt),
        # A staircase is what isotonic regression learns, and no line through log-odds does.
        (np.where(TRUE < 0.05, -8.0, np.where(TRUE < 0.15, 0.0, 0.5)), Isotonic),
    ],
)
def test_the_kind_is_chosen_that_fits_rows_which_neither_was_fitted_on(said, kind):
    earlier = np.arange(len(TRUE)) < 12_000
    chosen = choose(said, LABELS, earlier)
    assert isinstance(chosen.calibrator, kind)
    other = {Platt: "isotonic", Isotonic: "platt"}[kind]
    assert chosen.losses[kind.__name__.lower()] < chosen.losses[other]


@pytest.mark.parametrize(("said", "learned"), [(log_odds(TRUE), True), (RNG.normal(size=20_000), False)])
def test_what_says_no_more_than_the_mean_has_not_learned(said, learned):
    assert choose(said, LABELS, np.arange(len(TRUE)) < 12_000).learned is learned


def test_of_a_few_labels_no_staircase_is_learned() -> None:
    few = slice(0, 400)
    staircase = np.where(TRUE < 0.05, -8.0, np.where(TRUE < 0.15, 0.0, 0.5))
    chosen = choose(staircase[few], LABELS[few], np.arange(400) < 240)
    assert LABELS[:240].sum() < LEAST_FOR_ISOTONIC
    assert isinstance(chosen.calibrator, Platt)
    assert set(chosen.losses) == {"platt", "base_rate"}


def test_with_labels_of_one_kind_in_either_part_the_choice_is_platt():
    labels = np.where(np.arange(len(LABELS)) < 12_000, LABELS, 0.0)
    chosen = choose(log_odds(TRUE), labels, np.arange(len(TRUE)) < 12_000)
    assert isinstance(chosen.calibrator, Platt)
    assert not chosen.losses
