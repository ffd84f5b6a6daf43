"""A study from its first trial to the best parameters, logged in MLflow as it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from training.settings import MlflowSettings
from training.tuning.parameters import TunedParameters, parameters_file, write_parameters
from training.tuning.runs import study_runs
from training.tuning.study import OBJECTIVE, Budget, Search, Trial, opened_study


def tune(
    settings: MlflowSettings,
    search: Search,
    folder: Path,
    budget: Budget,
    name: str | None = None,
    announce: Callable[[str], None] = lambda step: None,
) -> tuple[TunedParameters, list[Trial]]:
    """Tries parameters until the budget is spent, and writes the best to ``<folder>/<study>.json``.

    A study that was interrupted goes on; one whose budget is spent only says what it found. Returns the best
    parameters and every trial.

    Raises:
        NoExamplesError: too few examples before the final test.
        RegistryError: MLflow does not answer; trials that ended are kept, and logged when the study goes on.
        StudyError: another process runs the study, it was begun on something else, or nothing it tried is
            small enough.
    """
    with (
        opened_study(search, folder, name) as study,
        study_runs(settings, search, study.name, budget) as runs,
    ):
        runs.ended(study.trials)
        while study.goes_on(budget):
            announce(_progress(study.trials, budget))
            study.try_one()
            runs.ended(study.trials)
        tuned, trials = study.best(), study.trials
        write_parameters(parameters_file(folder, study.name), tuned)
        runs.found(tuned, trials)
    return tuned, trials


def _progress(trials: Sequence[Trial], budget: Budget) -> str:
    spent = sum(trial.seconds for trial in trials)
    best = max((trial.value for trial in trials if trial.fits), default=None)
    known = "" if best is None else f", best {OBJECTIVE} {best:.3f}"
    return f"trial {len(trials) + 1} of {budget.trials}, {spent:.0f} of {budget.seconds:g} s{known}"
