"""Models of known worth, and a registry that holds them as training leaves them there, without training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from training.bundle import Bundle, Matrix
from training.calibration import Isotonic
from training.checks import RecordedCheck
from training.dataset import Examples, prepare, time_split
from training.export import TrainedHead, assemble, write
from training.heads import HeadParameters
from training.held_out import learned_until
from training.manifest import ScoringCost
from training.promotion import Decision, carry_out, judge
from training.settings import GateSettings, MlflowSettings
from training.tracking import RunRecord, log_run, register
from training.train import TrainingPlan, fit
from training.versions import check_tags, opened

PLAN = TrainingPlan(head=HeadParameters(trees=20, leaves=7), light=HeadParameters(trees=5, leaves=4))
STUMPS = TrainingPlan(
    head=HeadParameters(trees=2, leaves=2), light=HeadParameters(trees=2, leaves=2), linear_share=0.0
)
SERVED = RecordedCheck("parity", True, "8,000 logged rows agree with the offline features")
CHECKED = [RecordedCheck("examples", True, "8,000 examples"), SERVED]
# On 1,600 held-out rows in 80 lists, MRR and a rare engagement's AP and RCE are known to no more than this.
LIMITS = GateSettings(mrr_margin=0.1, ap_margin=0.1, rce_margin=15)

Trained = tuple[Bundle, dict[str, str]]
Measure = Callable[[Bundle, Matrix], ScoringCost]


@dataclass(frozen=True)
class Models:
    """Two models of the same examples, as bundles and their files' texts: ``stumps`` is the worse one."""

    examples: Examples
    until: str
    good: Trained
    stumps: Trained

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Models:
        examples = prepare(frame)
        split = time_split(examples)
        good, stumps = (fit("tried", split, "0" * 64, plan, lambda step: None) for plan in (PLAN, STUMPS))
        return cls(examples, learned_until(split), good, stumps)

    def miscalibrated(self) -> Trained:
        """The order of the good one, from chances that are far too high."""
        bundle = self.good[0]
        heads = {
            head: TrainedHead(
                bundle.boosters[head], Isotonic((0.0, 1.0), (0.4, 0.9)), spec.weight, linear=spec.linear
            )
            for head, spec in bundle.manifest.heads.items()
        }
        rows = np.array(bundle.manifest.smoke.rows, dtype=np.float32)
        return assemble("tried", heads, bundle.light, "0" * 64, rows, scaling=bundle.manifest.scaling)


@dataclass
class Shelf:
    """Versions of one registered model; ``folder`` is for the bundles on their way there."""

    settings: MlflowSettings
    folder: Path
    until: str

    def add(
        self,
        trained: Trained,
        checks: Sequence[RecordedCheck] = CHECKED,
        spoil: Callable[[Path], None] = lambda path: None,
    ) -> str:
        path = self.folder / f"bundle-{len(list(self.folder.glob('bundle-*')))}"
        write(path, *trained, {}, self.until)
        spoil(path)
        run_id = log_run(self.settings, path, RunRecord(path.name, {}, {}, {}, plots=[], texts={}))
        return register(self.settings, run_id, check_tags(list(checks)))

    def add_champion(self, trained: Trained) -> str:
        version = self.add(trained)
        with opened(self.settings) as versions:
            versions.point(self.settings.alias, version)
        return version

    def aliases(self) -> dict[str, str]:
        with opened(self.settings) as versions:
            return versions.aliases()


def quick(bundle: Bundle, rows: Matrix) -> ScoringCost:
    """A page that costs as much as the plain head."""
    return ScoringCost(page_ms=5.0, plain_ms=5.0)


def ask(shelf: Shelf, version: str, examples: Examples, measure: Measure = quick) -> Decision:
    """The gate's decision, carried out."""
    with opened(shelf.settings) as versions:
        decision = judge(versions, version, examples, LIMITS, measure=measure)
        carry_out(versions, decision)
    return decision
