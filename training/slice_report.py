"""How good a model is on each slice, and where it is weaker than on the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.bundle import Scores
from training.dataset import Examples
from training.metrics import Interval, relative_cross_entropy, row_interval
from training.slices import slices


@dataclass(frozen=True)
class SliceFigures:
    """The RCE of one head on one slice; ``overall`` is the head's RCE on all rows."""

    head: str
    slice: str
    rows: int
    base_rate: float
    rce: Interval
    overall: float

    @property
    def weak(self) -> bool:
        """The whole interval is below what the head has on all rows."""
        return self.rce.high < self.overall


def slice_figures(
    scores: Scores, examples: Examples, overall: Mapping[str, float], seed: int
) -> list[SliceFigures]:
    """Every head on every slice that holds both kinds of its label; ``overall`` maps a head to its RCE."""
    requests, parts = examples.requests, slices(examples)
    found = []
    for head, probabilities in scores.probabilities.items():
        labels = examples.labels(head)
        for name, rows in parts.items():
            if labels[rows].min() < labels[rows].max():
                _, lists = np.unique(requests[rows], return_inverse=True)
                found.append(
                    SliceFigures(
                        head=head,
                        slice=name,
                        rows=int(rows.sum()),
                        base_rate=float(labels[rows].mean()),
                        rce=row_interval(
                            relative_cross_entropy,
                            lists.astype(np.int64),
                            labels[rows],
                            probabilities[rows],
                            seed,
                        ),
                        overall=overall[head],
                    )
                )
    return found
