"""The model card in Markdown: what a version is, how good and where not, what it costs, how to back out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from training.bundle import Bundle, Scores
from training.dataset import Split
from training.evaluation import ListReport, ModelReport
from training.manifest import ScoringCost
from training.metrics import Interval
from training.settings import GateSettings
from training.slice_report import SliceFigures

if TYPE_CHECKING:
    from training.train import TrainingPlan

LONGEST_DESCRIPTION = 5000
"""Characters that MLflow keeps of a version's description."""


@dataclass(frozen=True)
class Judged:
    """A model, what was found of it on the split's test part, and what the floors say against it."""

    bundle: Bundle
    split: Split
    scores: Scores
    report: ModelReport
    slices: Sequence[SliceFigures]
    cost: ScoringCost
    limits: GateSettings
    plan: TrainingPlan
    reasons: Sequence[str]


def model_card(judged: Judged) -> str:
    """The card as Markdown; it ends with what the registry cuts off first."""
    manifest = judged.bundle.manifest
    kind = "LightGBM's trees"
    if manifest.scaling is not None:
        kind += " and a logistic regression, blended in their log-odds"
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    sections = [
        f"# {manifest.name}",
        f"Made {made}. For each of {', '.join(manifest.heads)} {kind}, calibrated and summed by weight "
        f"(formula `{manifest.formula_version}`) into the score that orders a page; a light ranker prunes "
        f"before. Features: {len(manifest.features)} columns of service `{manifest.feature_service}`.",
        _floors(judged),
        "## Order of the lists\n\n" + _orders(judged.report),
        "## Heads\n\n" + _heads(judged),
        "## Where it is weaker\n\n" + _weak(judged.slices),
        "## Cost\n\n" + _cost(judged),
        "## Data\n\n" + _data(judged),
        "## Limits\n\n" + LIMITS,
        "## Back out\n\n" + BACK_OUT,
    ]
    return "\n\n".join(sections) + "\n"


LIMITS = """\
- It learned from what was shown: it knows nothing of items that no page had, and places are not corrected.
- A label is what came within the attribution window; later engagements count as none. Only examples whose
  window was over at the newest event were learned from and judged on.
- Judged on one later span of time, on lists as they were served: an experiment says what readers do.
- Probabilities are of engagement. Whether an item is true, or good for its reader, is not in them."""

BACK_OUT = """\
`tideline models rollback` makes the champion before this one champion again; the ranking service follows at
its next poll. `tideline models promote VERSION` puts any other version there, if the gate agrees."""


def _floors(judged: Judged) -> str:
    if judged.reasons:
        return f"**Not registered**: {'; '.join(judged.reasons)}."
    return (
        "It is above the floors. What the gate decided beside the champion is in the version's tags `gate` "
        "and `gate.reasons`, with all figures in the run's `gate/`."
    )


def _orders(report: ModelReport) -> str:
    def row(name: str, order: ListReport) -> tuple[str, ...]:
        lead = "" if name == "model" else _interval(order.gain, "+.4f")
        return name, _interval(order.ndcg_10, ".4f"), _interval(order.mrr, ".4f"), lead

    table = _table(
        ("order", "nDCG@10", "MRR", "the model's lead in nDCG@10"),
        (row(name, order) for name, order in report.orders.items()),
    )
    return f"{table}\n\n{report.lists:,} lists with engaged and other items; 95 % intervals."


def _heads(judged: Judged) -> str:
    specs = judged.bundle.manifest.heads

    def row(head: str) -> tuple[str, ...]:
        found, spec = judged.report.heads[head], specs[head]
        return (
            head,
            f"{spec.weight:g}",
            str(judged.bundle.boosters[head].num_trees()),
            f"{spec.linear.share:g}" if spec.linear else "none",
            type(spec.calibrator).__name__.lower(),
            f"{found.base_rate:.4f}",
            _interval(found.ap, ".4f"),
            _interval(found.rce, ".2f"),
            f"{found.auc:.4f}",
            f"{found.calibration_error:.4f}",
        )

    columns = (
        "head",
        "weight",
        "trees",
        "linear share",
        "calibration",
        "base rate",
        "AP",
        "RCE",
        "AUC",
        "calibration error",
    )
    table = _table(columns, (row(head) for head in judged.report.heads))
    left_out = [f"- no head `{head}`: {why}." for head, why in judged.bundle.manifest.left_out.items()]
    return "\n".join([table, *([""] if left_out else []), *left_out])


def _weak(slices: Sequence[SliceFigures]) -> str:
    weak = sorted((part for part in slices if part.weak), key=lambda part: part.rce.value - part.overall)
    if not weak:
        return f"On none of {len(slices)} slices is a head's RCE with its interval below its RCE on all rows."
    table = _table(
        ("head", "slice", "rows", "base rate", "RCE", "RCE on all rows"),
        (
            (
                part.head,
                part.slice,
                f"{part.rows:,}",
                f"{part.base_rate:.4f}",
                _interval(part.rce, ".2f"),
                f"{part.overall:.2f}",
            )
            for part in weak
        ),
    )
    return (
        f"{table}\n\nOf {len(slices)} slices those whose whole interval is below the head's RCE on all rows."
    )


def _cost(judged: Judged) -> str:
    cost = judged.cost
    return (
        f"A page (light ranker on 500 candidates, heads on 150) takes {cost.ratio:.2f} times one plain head "
        f"of 200 trees of 31 leaves on 500 rows; the gate allows {judged.limits.scoring_ratio:g}. "
        f"Where it was made that was {cost.page_ms:.2f} ms of one core."
    )


def _data(judged: Judged) -> str:
    manifest = judged.bundle.manifest

    def row(name: str) -> tuple[str, ...]:
        part = judged.split.parts[name]
        times = part.frame["event_timestamp"]
        lists = int(part.requests[-1]) + 1
        return name, f"{len(part):,}", f"{lists:,}", _moment(times.min()), _moment(times.max())

    table = _table(("part", "rows", "lists", "from", "to"), (row(name) for name in judged.split.parts))
    return (
        f"{table}\n\nFingerprint of the data `{manifest.data_fingerprint}`, of the code "
        f"`{manifest.code_fingerprint[:12]}`; parameters: {judged.plan.parameters}; seed {judged.plan.seed}."
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _interval(interval: Interval, form: str) -> str:
    return f"{interval.value:{form}} ({interval.low:{form}} to {interval.high:{form}})"


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")
