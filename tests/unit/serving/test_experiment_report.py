"""The report of an experiment on readers whose acts are planted: it finds what is there, and only that."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from serving.experiments.experiment import Arm, Experiment
from serving.experiments.report import Report, lines, report

EXPERIMENT = Experiment(1, "planted", "salt", (Arm("control", 0.5), Arm("same", 0.25), Arm("worse", 0.25)))
RATES = {"engaged": 0.10, "hidden": 0.01, "reported": 0.01}
WORSE = {"engaged": 0.16, "hidden": 0.03, "reported": 0.01}


def planted(seed: int, readers: int = 1200, pages: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Impressions and requests: the arm `worse` engages more, hides more, is slower and has fewer authors."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(1, readers + 1), pages)
    requests = pd.DataFrame({"arm": [EXPERIMENT.arm_of(one).name for one in user.tolist()], "user_id": user})
    worse = (requests["arm"] == "worse").to_numpy()
    requests["latency_ms"] = rng.gamma(8, 5, len(user)) * np.where(worse, 1.6, 1.0)
    impressions = requests.loc[requests.index.repeat(10), ["arm", "user_id"]].reset_index(drop=True)
    worse = (impressions["arm"] == "worse").to_numpy()
    impressions["author_id"] = np.where(
        worse, rng.integers(0, 50, len(worse)), rng.integers(0, 100, len(worse))
    )
    habit = rng.gamma(4, 0.25, readers + 1)[impressions["user_id"]]
    for column in RATES:
        chance = habit * np.where(worse, WORSE[column], RATES[column])
        impressions[column] = (rng.random(len(worse)) < chance).astype(int)
    return impressions, requests


def of(seed: int) -> Report:
    return report(EXPERIMENT, *planted(seed), outcomes=["engaged"])


def test_each_metric_is_compared_for_each_arm_and_the_control_with_nothing() -> None:
    rows = of(1).comparisons
    metrics = ["engaged", "hidden", "reported", "latency_p99_ms", "author_concentration"]
    assert [(row.metric, row.arm) for row in rows] == [
        (metric, arm.name) for metric in metrics for arm in EXPERIMENT.arms
    ]
    assert [row.arm for row in rows if row.difference is None] == ["control"] * len(metrics)


def test_planted_harm_breaches_its_guardrails_and_a_planted_gain_is_none() -> None:
    breached = {(row.metric, row.arm) for row in of(2).breached}
    assert {metric for metric, arm in breached if arm == "worse"} >= {
        "hidden",
        "latency_p99_ms",
        "author_concentration",
    }
    assert "engaged" not in {metric for metric, _ in breached}


def test_an_arm_that_is_the_same_breaches_a_guardrail_only_by_chance() -> None:
    alarms = sum(row.arm == "same" for seed in range(25) for row in of(seed).breached)
    # Four guardrails, each of which chance breaches once in forty times: 2.5 of 100.
    assert alarms <= 9


def test_the_estimates_are_what_was_planted() -> None:
    for row in of(3).comparisons:
        planted_rate = (WORSE if row.arm == "worse" else RATES).get(row.metric)
        if planted_rate is not None:
            assert abs(row.estimate.value - planted_rate) < 4 * row.estimate.error


def test_readers_of_another_arm_than_theirs_are_left_out_and_counted() -> None:
    impressions, requests = planted(4)
    strays = [1, 2, 3]
    # One page of each was of another arm; what they saw in their own is no fair sample any more.
    requests.loc[requests["user_id"].isin(strays) & ~requests["user_id"].duplicated(), "arm"] = "elsewhere"
    impressions.loc[impressions["user_id"].isin(strays), "hidden"] = 1
    result = report(EXPERIMENT, impressions, requests, outcomes=["engaged"])
    assert result.strays == 3
    assert sum(result.readers.values()) == 1197
    kept = [frame[~frame["user_id"].isin(strays)] for frame in planted(4)]
    assert result.comparisons == report(EXPERIMENT, *kept, outcomes=["engaged"]).comparisons


def test_an_arm_that_loses_its_readers_is_said_not_to_be_trusted() -> None:
    impressions, requests = planted(5)
    gone = (requests["arm"] == "same") & (requests["user_id"] % 3 == 0)
    result = report(EXPERIMENT, impressions, requests[~gone], outcomes=["engaged"])
    assert of(5).split.holds
    assert not result.split.holds
    assert any("NOT as weighted" in line for line in lines(result))


def test_an_experiment_that_nobody_has_seen_has_a_report_without_figures() -> None:
    impressions, requests = (frame[:0] for frame in planted(6))
    result = report(EXPERIMENT, impressions, requests, outcomes=["engaged"])
    assert result.readers == {"control": 0, "same": 0, "worse": 0}
    assert all(math.isnan(row.estimate.value) for row in result.comparisons)
    assert result.breached == []
    assert sum("unknown" in line for line in lines(result)) == len(result.comparisons)


def test_the_printed_report_names_readers_intervals_and_breaches() -> None:
    text = "\n".join(lines(of(2)))
    assert "split        as weighted" in text
    assert "author_concentration" in text
    assert text.count("GUARDRAIL BREACHED") == len(of(2).breached)


@pytest.mark.parametrize("column", ["hidden", "engaged"])
def test_a_report_needs_its_columns(column: str) -> None:
    impressions, requests = planted(7)
    with pytest.raises(KeyError, match=column):
        report(EXPERIMENT, impressions.drop(columns=column), requests, outcomes=["engaged"])
