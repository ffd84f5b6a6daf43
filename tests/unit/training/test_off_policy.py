"""Off-policy estimates: right where the truth is known, wrong or refused where the log is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from serving.feed.policy import Exploration
from tests.models.explored_world import ExploredWorld, explored_world
from training.estimates import Estimate
from training.off_policy import (
    Decisions,
    OffPolicyError,
    clipped_inverse_propensity,
    clipped_share,
    doubly_robust,
    doubly_robust_gain,
    effective_sample_size,
    inverse_propensity,
    logged_value,
    self_normalised,
)
from training.off_policy_report import LEAST_READERS, LEAST_REWARDED, lines, report, shape

SEEDS, READERS, ENOUGH = 100, 600, 90


@cache
def planted() -> ExploredWorld:
    return explored_world(Exploration(share=0.1, depth=20), intercept=-1.5)


@cache
def logs() -> list[Decisions]:
    return [planted().logged(seed, READERS) for seed in range(SEEDS)]


def without_model(log: Decisions) -> Decisions:
    """A reward model that knows nothing: it predicts 0."""
    nothing = np.zeros(len(log))
    return replace(log, predicted=nothing, expected=nothing)


def claiming_half(log: Decisions) -> Decisions:
    """The log as it would be if half as many pages had explored."""
    share = planted().exploration.share / 2
    return replace(log, propensities=np.where(log.propensities < 0.5, share, 1 - share))


def covered(estimate: Callable[[Decisions], Estimate], truth: float, decisions: list[Decisions]) -> int:
    """How many of the 95 % intervals hold the truth."""
    return sum(found.low <= truth <= found.high for found in map(estimate, decisions))


def test_the_intervals_hold_the_true_value_of_the_new_policy() -> None:
    old, new = planted().true_values()
    assert covered(inverse_propensity, new, logs()) >= ENOUGH
    assert covered(self_normalised, new, logs()) >= ENOUGH
    assert covered(doubly_robust, new, logs()) >= ENOUGH
    assert covered(doubly_robust_gain, new - old, logs()) >= ENOUGH
    assert covered(logged_value, old, logs()) >= ENOUGH


def test_the_intervals_miss_it_where_the_log_claims_another_share() -> None:
    _, new = planted().true_values()
    wrong = [claiming_half(log) for log in logs()]
    assert covered(inverse_propensity, new, wrong) < ENOUGH
    assert covered(doubly_robust, new, [without_model(log) for log in wrong]) < ENOUGH


def test_a_right_reward_model_makes_up_for_a_wrong_propensity() -> None:
    _, new = planted().true_values()
    assert covered(doubly_robust, new, [claiming_half(log) for log in logs()]) >= ENOUGH


def test_a_good_reward_model_makes_the_interval_narrower() -> None:
    errors = [(doubly_robust(log).error, inverse_propensity(log).error) for log in logs()]
    narrower, wider = np.mean(errors, axis=0)
    assert narrower < 0.99 * wider


def test_without_a_reward_model_doubly_robust_is_inverse_propensity() -> None:
    decisions = without_model(logs()[0])
    assert doubly_robust(decisions) == pytest.approx(inverse_propensity(decisions))


def test_clipping_pulls_the_value_down_by_the_weight_it_takes() -> None:
    _, new = planted().true_values()
    decisions = without_model(logs()[0])
    assert clipped_inverse_propensity(decisions, 10.0).value == pytest.approx(
        inverse_propensity(decisions).value
    )
    assert clipped_share(decisions.weights, 10.0) == pytest.approx(0)
    assert clipped_share(decisions.weights, 3.0) > 0.2
    assert covered(lambda log: clipped_inverse_propensity(log, 3.0), new, logs()) < ENOUGH


def four() -> Decisions:
    """Two readers; the new policy would have done the first, the second by half, and the fourth."""
    return Decisions(
        readers=np.array([1, 1, 2, 2]),
        rewards=np.array([1.0, 0.0, 1.0, 1.0]),
        propensities=np.array([0.5, 0.5, 0.25, 0.25]),
        chances=np.array([1.0, 0.5, 0.0, 1.0]),
        predicted=np.array([0.8, 0.2, 0.5, 0.5]),
        expected=np.array([0.8, 0.3, 0.4, 0.5]),
    )


def test_the_estimates_are_their_formulas() -> None:
    log = four()
    assert log.weights.tolist() == [2, 1, 0, 4]
    assert logged_value(log).value == 0.75
    assert inverse_propensity(log).value == (2 + 4) / 4
    assert clipped_inverse_propensity(log, 3).value == (2 + 3) / 4
    assert self_normalised(log).value == pytest.approx(6 / 7)
    assert doubly_robust(log).value == pytest.approx((0.8 + 2 * 0.2 + 0.3 - 0.2 + 0.4 + 0.5 + 4 * 0.5) / 4)
    assert doubly_robust_gain(log).value == pytest.approx(doubly_robust(log).value - 0.75)
    assert effective_sample_size(log.weights) == pytest.approx(49 / 21)
    assert clipped_share(log.weights, 3) == pytest.approx(1 / 7)


def test_what_one_reader_repeats_makes_no_interval_narrower() -> None:
    log = logs()[0]
    columns = {name: np.repeat(getattr(log, name), 5) for name in Decisions.__dataclass_fields__}
    assert doubly_robust(Decisions(**columns)) == pytest.approx(doubly_robust(log))


@pytest.mark.parametrize(
    ("propensities", "sentence"),
    [
        ([], "no decisions"),
        ([0.5, np.nan, 0.5, np.nan], "missing in 2 of 4"),
        ([0.5, 0.0, 0.5, 0.5], "not above 0 and at most 1 in 1 of 4"),
        ([0.5, 1.5, -0.1, 0.5], "not above 0 and at most 1 in 2 of 4"),
    ],
)
def test_a_log_without_propensities_is_refused(propensities: list[float], sentence: str) -> None:
    with pytest.raises(OffPolicyError, match=sentence):
        replace(four(), propensities=np.array(propensities))


def test_too_few_readers_or_explored_pages_are_refused() -> None:
    with pytest.raises(OffPolicyError, match=f"2 readers are too few for an interval: {LEAST_READERS}"):
        report(four())
    log = logs()[0]
    assert report(log).decisions == len(log)
    rare = (log.propensities < 0.5) & (log.chances > 0)
    rate = (log.rewards != 0).mean()
    kept = ~rare | (np.cumsum(rare) < LEAST_REWARDED / rate)
    few = Decisions(**{name: getattr(log, name)[kept] for name in Decisions.__dataclass_fields__})
    with pytest.raises(OffPolicyError, match=f"may have brought something: {LEAST_REWARDED} are needed"):
        report(replace(few, rewards=np.where(np.arange(len(few)) % 10 < 2, few.rewards, 0.0)))


def test_a_policy_that_changes_nothing_needs_no_explored_pages() -> None:
    log = without_model(logs()[0])
    usual = log.propensities > 0.5
    same = Decisions(**{name: getattr(log, name)[usual] for name in Decisions.__dataclass_fields__})
    same = replace(same, chances=np.ones(len(same)))
    assert report(same).agreement == 1


def test_the_report_has_every_estimate_beside_the_logged_policys_value() -> None:
    log = logs()[0]
    found = report(log, clip=5.0)
    assert list(found.estimates) == [
        "logged policy",
        "inverse propensity",
        "clipped",
        "self-normalised",
        "doubly robust",
        "gain over logged",
    ]
    assert 0 < found.clipped_share < 1
    assert found.effective_sample_size < len(log)
    text = "\n".join(lines(found))
    assert f"{len(log):,} contested slots of {READERS} readers" in text
    assert f"clipping at 5 takes {found.clipped_share:.1%} of the weight" in text
    plain = shape(found)
    assert plain["estimates"]["doubly robust"]["low"] == pytest.approx(doubly_robust(log).low)
    unknown = replace(found, estimates={"self-normalised": Estimate(float("nan"), float("nan"))})
    assert shape(unknown)["estimates"] == {"self-normalised": None}
