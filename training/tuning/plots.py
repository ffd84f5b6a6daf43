"""How a search went, as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.tuning.study import OBJECTIVE, Trial


def write_history(folder: Path, trials: Sequence[Trial]) -> Path:
    """``history.png``: what each trial came to, those too large marked, and the best so far."""
    path = folder / "history.png"
    FigureCanvasAgg(history(trials)).print_png(path)
    return path


def history(trials: Sequence[Trial]) -> Figure:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for fits, colour, label in ((True, "tab:blue", "trial"), (False, "tab:red", "too large")):
        shown = [trial for trial in trials if trial.fits is fits]
        axes.scatter(
            [trial.number for trial in shown], [trial.value for trial in shown], c=colour, label=label
        )
    values = np.array([trial.value if trial.fits else -np.inf for trial in trials])
    best = np.maximum.accumulate(values)
    axes.step(
        np.flatnonzero(np.isfinite(best)),
        best[np.isfinite(best)],
        where="post",
        color="grey",
        label="best so far",
    )
    axes.set(xlabel="trial", ylabel=OBJECTIVE, title="On the validation part")
    axes.legend()
    return figure
