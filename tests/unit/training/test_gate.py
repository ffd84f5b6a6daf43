"""The gate: what may serve, and the sentence that refuses the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from training.evaluation import HeadReport, ListReport, ModelReport
from training.gate import refusal
from training.metrics import Interval


def interval(value: float) -> Interval:
    return Interval(value, value - 0.01, value + 0.01)


def order(ndcg: float) -> ListReport:
    return ListReport(interval(ndcg), interval(0.5), interval(0.0))


HEAD = HeadReport(
    rows=100,
    base_rate=0.1,
    ap=interval(0.3),
    rce=interval(12.0),
    auc=0.8,
    log_loss=0.2,
    calibration_error=0.01,
    by_popularity={},
)
GOOD = ModelReport(
    heads={"engaged": HEAD},
    lists=50,
    model=order(0.6),
    baselines={"chronological": order(0.4), "popularity": order(0.5)},
)


def test_a_model_better_than_every_baseline_passes() -> None:
    assert refusal(GOOD) is None


@pytest.mark.parametrize("ndcg", [0.45, 0.5, float("nan")])
def test_a_model_must_order_better_than_each_baseline(ndcg: float) -> None:
    refused = refusal(replace(GOOD, model=order(ndcg)))
    assert refused is not None
    assert "is not above popularity's 0.5000" in refused


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (replace(HEAD, rce=interval(-3.0)), "RCE of engaged is -3.00, no better than the base rate"),
        (replace(HEAD, rce=interval(float("nan"))), "RCE of engaged is nan"),
        (replace(HEAD, calibration_error=0.2), "calibration error of engaged is 0.200, above 0.05"),
    ],
)
def test_a_head_must_be_calibrated_and_better_than_the_base_rate(head: HeadReport, words: str) -> None:
    refused = refusal(replace(GOOD, heads={"engaged": head}))
    assert refused is not None
    assert words in refused


def test_everything_that_failed_stands_in_one_sentence() -> None:
    bad = replace(HEAD, rce=interval(-1.0), calibration_error=0.3)
    refused = refusal(replace(GOOD, model=order(0.1), heads={"engaged": bad}))
    assert refused is not None
    assert refused.count(";") == 3
    assert refused.endswith(".")
    assert "\n" not in refused
