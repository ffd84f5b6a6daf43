"""The training run, on one page: examples in, a judged and registered bundle out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import lightgbm
import numpy as np
import pandas as pd

from features.labels import ENGAGED, HEADS
from training.alternatives import fit_alternatives
from training.bundle import Bundle
from training.calibration import choose, fit_platt
from training.card import LONGEST_DESCRIPTION, Judged
from training.checks import RecordedCheck, examples_check
from training.dataset import Split, prepare, time_split
from training.drift_reference import REFERENCE_FILE, DriftReference
from training.evaluation import ModelReport, evaluate
from training.export import TrainedHead, assemble, write
from training.feast_link import SERVICE_TAG
from training.formula import DEFAULT_WEIGHTS
from training.gate import LIMITS, floors, sentence
from training.heads import HeadParameters, distil, train_head, train_order, usable_heads
from training.held_out import learned_until
from training.latency import scoring_cost
from training.linear import Matrix, Scaling, fit_slopes
from training.manifest import LinearPart
from training.promotion import carry_out, judge
from training.registry import RegistryError
from training.run_record import CARD_FILE, training_record
from training.settings import GateSettings, MlflowSettings
from training.slice_report import slice_figures
from training.tracking import log_run, register
from training.versions import CHALLENGER, check_tags, opened

Objective = Literal["heads", "lambdarank"]
SMOKE_ROWS = 4
NOTHING_LEARNED = "it says no more of the later lists to calibrate on than their mean"
CALIBRATED_SHARE = 0.6
"""Of the calibration part's lists, the earlier ones: the later ones say which kind of calibrator is taken."""
FULL = HeadParameters(trees=120, leaves=15)
LIGHT = HeadParameters(trees=30, leaves=8, learning_rate=0.15, patience=10)


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that shapes a run besides the examples.

    ``linear_share`` is that of a head's linear part in its log-odds, beside the trees'.

    One thread unless the machine is otherwise idle: LightGBM's threads wait for each other by spinning, and
    on a busy machine two of them took 70 s for what one does in 2 s. The trees do not depend on it.
    ``parameters`` says where those of ``head`` come from.
    """

    seed: int = 20260101
    threads: int = 1
    head: HeadParameters = FULL
    light: HeadParameters = LIGHT
    linear_share: float = 0.35
    parameters: str = "default"
    weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    objective: Objective = "heads"


@dataclass(frozen=True)
class TrainingResult:
    """What came out. ``version`` (``name@version``) is None for a model below the floors, which is not kept.

    ``reasons`` are those of the gate, one clause each; without any the version is champion, unless it was
    only to be ``challenger``. ``left_out`` says of each head that the model does not have why.
    """

    run_id: str
    version: str | None
    challenger: bool
    reasons: Sequence[str]
    rows: Mapping[str, int]
    trees: Mapping[str, int]
    left_out: Mapping[str, str]
    data_fingerprint: str
    report: ModelReport

    @property
    def refusal(self) -> str | None:
        return sentence(self.reasons) if self.reasons else None

    def summary(self) -> dict[str, object]:
        """Plain values for a report; ``metrics`` are flat, as MLflow has them."""
        return {
            "model": None if self.challenger else self.version,
            "challenger": self.version if self.challenger else None,
            "run_id": self.run_id,
            "refusal": self.refusal,
            "reasons": list(self.reasons),
            "rows": dict(self.rows),
            "trees": dict(self.trees),
            "left_out": dict(self.left_out),
            "data_fingerprint": self.data_fingerprint,
            "metrics": self.report.metrics(),
        }


def train(
    settings: MlflowSettings,
    frame: pd.DataFrame,
    plan: TrainingPlan,
    announce: Callable[[str], None] = lambda step: None,
    checks: Sequence[RecordedCheck] = (),
    limits: GateSettings = LIMITS,
    promote: bool = True,
    namespace: str = "",
    evidence: Sequence[Path] = (),
) -> TrainingResult:
    """Trains on ``frame`` (see :mod:`training.dataset`), judges on its latest part, registers what is of use.

    A model below the floors is logged as a run, but not registered. One that the gate refuses beside the
    champion, or that is not to be promoted, becomes ``challenger``. ``checks`` are recorded with the version,
    the folders of ``evidence`` with the run; ``namespace`` is where the examples are from.

    Raises:
        DatasetError: the frame is not one of examples; NoExamplesError where it has too few.
        RegistryError: MLflow does not answer.
    """
    announce("splitting the examples by time")
    examples = prepare(frame)
    split = time_split(examples)
    bundle, texts = fit(settings.model_name, split, examples.fingerprint, plan, announce)
    announce("evaluating beside baselines and alternatives")
    scores = bundle.score(split.test.matrix)
    others = fit_alternatives(split, plan.head, plan.seed, plan.threads)
    report = evaluate(scores, split.test, plan.seed, others)
    announce("timing a page")
    cost = scoring_cost(bundle, split.test.matrix)
    reasons = floors(report, limits)
    announce("judging by slices")
    parts = slice_figures(
        scores, split.test, {head: found.rce.value for head, found in report.heads.items()}, plan.seed
    )
    away = "nothing is registered, so train again when it answers"
    with tempfile.TemporaryDirectory() as folder, _leaving(away):
        path = Path(folder) / "bundle"
        written = write(path, bundle, texts, report.metrics(), learned_until(split), cost)
        judged = Judged(written, split, scores, report, parts, cost, limits, plan, reasons)
        announce("drawing")
        record = training_record(Path(folder), judged, namespace)
        announce("logging to the registry")
        reference = DriftReference.of(split, scores.score).text()
        record = replace(
            record, texts={**record.texts, REFERENCE_FILE: reference}, folders=[*record.folders, *evidence]
        )
        run_id = log_run(settings, path, record)
    version, champion = None, False
    if not reasons:
        announce("registering the version")
        tags = {"data_fingerprint": examples.fingerprint}
        tags |= check_tags([examples_check(examples), *checks])
        tags |= {SERVICE_TAG: written.manifest.feature_service}
        with _leaving(away):
            version = register(settings, run_id, tags, record.texts[CARD_FILE][:LONGEST_DESCRIPTION])
        away = f"version {version} is registered: `tideline models promote {version}` asks the gate again"
        with _leaving(away), opened(settings) as versions:
            if promote:
                decision = judge(versions, version, examples, limits, announce)
                carry_out(versions, decision)
                reasons, champion = [*decision.reasons], decision.promoted
            else:
                versions.point(CHALLENGER, version)
    return TrainingResult(
        run_id=run_id,
        version=f"{settings.model_name}@{version}" if version else None,
        challenger=version is not None and not champion,
        reasons=reasons,
        rows={name: len(part) for name, part in split.parts.items()},
        trees={head: booster.num_trees() for head, booster in bundle.boosters.items()},
        left_out=bundle.manifest.left_out,
        data_fingerprint=examples.fingerprint,
        report=report,
    )


@contextmanager
def _leaving(consequence: str) -> Iterator[None]:
    """A registry that goes away in the block says what that leaves."""
    try:
        yield
    except RegistryError as error:
        raise RegistryError(f"{str(error).rstrip('.')}; {consequence}.") from error


def fit(
    name: str, split: Split, fingerprint: str, plan: TrainingPlan, announce: Callable[[str], None]
) -> tuple[Bundle, dict[str, str]]:
    """The bundle learned from the split's first two parts, and its model files' texts by file name."""
    scaling = Scaling.of(split.train.matrix)
    heads, left_out = _trained(split, plan, scaling, announce)
    announce("distilling the light ranker")
    smoke_rows = split.test.matrix[:SMOKE_ROWS]
    full, _ = assemble(name, heads, None, fingerprint, smoke_rows, left_out, scaling)
    light = _distilled(full, split, plan)
    return assemble(name, heads, light, fingerprint, smoke_rows, left_out, scaling)


def _trained(
    split: Split, plan: TrainingPlan, scaling: Scaling, announce: Callable[[str], None]
) -> tuple[dict[str, TrainedHead], dict[str, str]]:
    """The heads by name, and of every other why it is left out."""
    if plan.objective == "lambdarank":
        announce("training on the order of the lists")
        return {ENGAGED: _trained_order(split, plan)}, dict.fromkeys(
            HEADS, "only the order of lists is learned"
        )
    names, left_out = usable_heads(split)
    scaled = scaling.apply(split.train.matrix), scaling.apply(split.calibration.matrix)
    heads, learned = {}, {}
    for head in names:
        announce(f"training the head {head}")
        heads[head], learned[head] = _trained_head(head, split, scaled, plan)
    # Where none has learned anything, the gate says so of each.
    if any(learned.values()):
        left_out |= {head: NOTHING_LEARNED for head in names if not learned[head]}
        heads = {head: trained for head, trained in heads.items() if learned[head]}
    return heads, left_out


def _trained_order(split: Split, plan: TrainingPlan) -> TrainedHead:
    """LambdaRank as the one head of a model, its scores made chances of an engagement by Platt's map."""
    booster, later = train_order(split, plan.head, plan.seed, plan.threads), split.calibration
    said = np.asarray(booster.predict(later.matrix, num_threads=plan.threads), dtype=np.float64)
    return TrainedHead(booster, fit_platt(said, later.labels(ENGAGED)), 1.0)


def _trained_head(
    head: str, split: Split, scaled: tuple[Matrix, Matrix], plan: TrainingPlan
) -> tuple[TrainedHead, bool]:
    """The head, and whether it says more of later lists than the base rate does.

    ``scaled`` are the rows to train and to calibrate on as the linear part takes them.
    """
    earlier, later = split.train, split.calibration
    held_out = (later.matrix, later.labels(head))
    booster = train_head(earlier.matrix, earlier.labels(head), held_out, plan.head, plan.seed, plan.threads)
    linear = LinearPart(plan.linear_share, fit_slopes(scaled[0], earlier.labels(head)))
    trees = booster.predict(later.matrix, raw_score=True, num_threads=plan.threads)
    log_odds = linear.blend(np.asarray(trees, dtype=np.float64), linear.slopes.log_odds(scaled[1]))
    lists = later.requests
    chosen = choose(log_odds, later.labels(head), lists < CALIBRATED_SHARE * (lists[-1] + 1))
    trained = TrainedHead(booster, chosen.calibrator, plan.weights[head], chosen.losses, linear)
    return trained, chosen.learned


def _distilled(full: Bundle, split: Split, plan: TrainingPlan) -> lightgbm.Booster:
    """The light ranker: what the heads' score is, learned from the model input."""
    matrix, later = split.train.matrix, split.calibration.matrix
    held_out = (later, full.score(later).score)
    return distil(matrix, full.score(matrix).score, held_out, plan.light, plan.seed, plan.threads)
