"""The gate: what may serve, and the sentence that refuses the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from training.checks import RecordedCheck
from training.comparison import Comparison
from training.evaluation import HeadReport, ListReport, ModelReport
from training.gate import Evidence, failures, floors, sentence, worse
from training.manifest import ScoringCost
from training.metrics import Interval
from training.paired import Paired
from training.settings import GateSettings


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


CHECKED = [RecordedCheck("examples", True, "100 examples"), RecordedCheck("tables", True, "7 tables")]
SERVED = RecordedCheck("parity", True, "8,000 logged rows agree with the offline features")


def lead(value: float, low: float, high: float) -> Paired:
    return Paired(interval(0.5 + value), interval(0.5), Interval(value, low, high))


def beside_champion(**metrics: Paired) -> Comparison:
    names = {name.replace("engaged_", "engaged."): paired for name, paired in metrics.items()}
    return Comparison(50, 20, names, {}, 0.9, 0.8)


BETTER = beside_champion(ndcg_10=lead(0.02, 0.01, 0.03), engaged_ap=lead(0.01, -0.005, 0.02))
PASSING = Evidence(GOOD, BETTER, ScoringCost(page_ms=4.0, plain_ms=5.0), [*CHECKED, SERVED])


def test_a_model_better_than_every_baseline_and_the_champion_passes() -> None:
    assert failures(PASSING) == []


def test_a_first_model_is_not_compared() -> None:
    assert failures(replace(PASSING, comparison=None)) == []


def test_no_model_takes_the_place_of_a_champion_unless_served_rows_were_compared() -> None:
    unserved = replace(PASSING, checks=CHECKED)
    (reason,) = failures(unserved)
    assert reason.startswith("no served row was compared with the offline features: serve some feeds")
    # The first model of a stack: nothing could have been served yet.
    assert failures(replace(unserved, comparison=None)) == []


@pytest.mark.parametrize("ndcg", [0.45, 0.5, float("nan")])
def test_a_model_must_order_better_than_each_baseline(ndcg: float) -> None:
    reasons = floors(replace(GOOD, model=order(ndcg)))
    assert reasons[-1].endswith("is not above popularity's 0.5000")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (replace(HEAD, rce=interval(-3.0)), "RCE of engaged is -3.00, no better than the base rate"),
        (replace(HEAD, rce=interval(float("nan"))), "RCE of engaged is nan, no better than the base rate"),
        (replace(HEAD, calibration_error=0.2), "calibration error of engaged is 0.200, above 0.05"),
    ],
)
def test_a_head_must_be_calibrated_and_better_than_the_base_rate(head: HeadReport, words: str) -> None:
    assert floors(replace(GOOD, heads={"engaged": head})) == [words]


@pytest.mark.parametrize(
    ("name", "paired", "words"),
    [
        ("ndcg_10", lead(-0.03, -0.04, -0.02), "nDCG@10 is worse than the champion's: -0.0300"),
        ("mrr", lead(0.001, -0.02, 0.022), "MRR may be worse than the champion's: +0.0010"),
        ("engaged_ap", lead(float("nan"), float("nan"), float("nan")), "AP of engaged may be worse"),
        ("rce", lead(-0.2, -1.5, 1.1), "RCE may be worse than the champion's: -0.2000"),
    ],
)
def test_no_interval_may_reach_further_below_the_champion_than_its_margin(
    name: str, paired: Paired, words: str
) -> None:
    (reason,) = worse(beside_champion(**{name: paired}))
    assert reason.startswith(words)


def test_a_difference_within_its_margin_is_not_worse() -> None:
    within = beside_champion(ndcg_10=lead(-0.002, -0.009, 0.004), rce=lead(-0.1, -0.9, 0.4))
    assert worse(within) == []
    assert len(worse(within, GateSettings(ndcg_10_margin=0.005, rce_margin=0.5))) == 2


def test_the_rce_of_a_single_head_bars_no_model_but_that_of_all_does() -> None:
    rough = lead(-0.5, -4.0, 3.0)
    assert worse(beside_champion(engaged_rce=rough)) == []
    assert len(worse(beside_champion(engaged_rce=rough, rce=rough))) == 1


def test_a_model_that_lost_a_head_of_the_champion_is_refused() -> None:
    lost = replace(beside_champion(), lacking=("opened",))
    assert worse(lost) == ["it has no head opened, which the champion has"]


@pytest.mark.parametrize("page_ms", [11.0, float("nan")])
def test_a_slow_model_is_refused(page_ms: float) -> None:
    (reason,) = failures(replace(PASSING, cost=ScoringCost(page_ms, plain_ms=5.0)))
    assert reason.startswith("scoring a page costs ")
    assert reason.endswith(" times one plain head, above 2")


def test_a_failed_check_is_named_with_what_it_found() -> None:
    checks = [*CHECKED, RecordedCheck("parity", False, "3 features differ")]
    assert failures(replace(PASSING, checks=checks)) == ["its parity check failed: 3 features differ"]


def test_a_model_without_any_recorded_check_is_refused() -> None:
    assert failures(replace(PASSING, checks=[])) == ["no check of its data is recorded with it"]


def test_everything_that_failed_stands_in_one_sentence() -> None:
    bad = replace(HEAD, rce=interval(-1.0), calibration_error=0.3)
    said = sentence(floors(replace(GOOD, model=order(0.1), heads={"engaged": bad})))
    assert said.startswith("The model may not become champion: ")
    assert said.count(";") == 3
    assert said.endswith(".")
    assert "\n" not in said
