"""What a study found, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table

from training.heads import HeadParameters
from training.tuning.parameters import SPACE, TunedParameters
from training.tuning.study import OBJECTIVE, Trial

SHOWN = 5


def searched(tuned: TunedParameters, trials: Sequence[Trial]) -> Group:
    """The best trials beside the first, which has the default parameters; and the best parameters."""
    table = Table(title=f"Study {tuned.study}: {tuned.trials} trials in {tuned.seconds:.0f} s")
    for column in ("trial", OBJECTIVE, "nDCG@10", "size", "of at most"):
        table.add_column(column, justify="right")
    fitting = sorted((trial for trial in trials if trial.fits), key=lambda trial: -trial.value)[:SHOWN]
    first = [trial for trial in trials[:1] if trial not in fitting]
    for trial in (*fitting, *first):
        name = str(trial.number) if trial.number else "0, default"
        figures = trial.figures
        table.add_row(
            name,
            f"{trial.value:.3f}",
            f"{figures['ndcg_10']:.4f}",
            f"{figures['size']:.2f}",
            f"{figures['size_limit']:g}",
        )
    parameters = Table("parameter", "default", "best")
    for name in SPACE:
        parameters.add_row(name, f"{getattr(HeadParameters(), name):g}", f"{tuned.head[name]:.4g}")
    return Group(table, parameters)
