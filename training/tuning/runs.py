"""A study in MLflow: one run for the study, and below it one for each trial that ended."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from training.settings import MlflowSettings
from training.tracking import (
    MLFLOW_PARENT_RUN_ID,
    PLOT_ARTIFACTS,
    RunRecord,
    experiment_id,
    logged,
    mlflow_client,
)
from training.tuning.parameters import TunedParameters
from training.tuning.plots import write_history
from training.tuning.study import OBJECTIVE, Budget, Search, Trial

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

STUDY_TAG, TRIAL_TAG, BASIS_TAG = "study", "trial", "study.basis"


@dataclass(frozen=True)
class StudyRuns:
    """The run of one study; :meth:`ended` and :meth:`found` may be repeated after an interruption."""

    client: MlflowClient
    experiment: str
    run_id: str
    _known: set[int]

    def ended(self, trials: Sequence[Trial]) -> None:
        """Logs the trials that MLflow does not have yet."""
        for trial in trials:
            if trial.number not in self._known:
                with logged(self.client, self.experiment, _record(trial), self.run_id):
                    pass
                self._known.add(trial.number)

    def found(self, tuned: TunedParameters, trials: Sequence[Trial]) -> None:
        """Logs the best of the trials, and how the search went."""
        with tempfile.TemporaryDirectory() as folder:
            self.client.log_artifact(
                self.run_id, str(write_history(Path(folder), list(trials))), PLOT_ARTIFACTS
            )
        if tuned.value is not None:
            self.client.log_metric(self.run_id, OBJECTIVE, tuned.value)
        if tuned.default is not None:
            self.client.log_metric(self.run_id, f"{OBJECTIVE}.default", tuned.default)
        self.client.log_metric(self.run_id, "trials", tuned.trials)
        self.client.log_metric(self.run_id, "seconds", tuned.seconds)
        self.client.log_dict(self.run_id, dict(tuned.head), "parameters.json")


@contextmanager
def study_runs(settings: MlflowSettings, search: Search, name: str, budget: Budget) -> Iterator[StudyRuns]:
    """The runs of the study ``name``: those of its earlier, interrupted part, or new ones.

    Raises:
        RegistryError: MLflow does not answer; what the study found so far stays in its storage.
    """
    with mlflow_client(settings) as client:
        experiment = experiment_id(client, settings.experiment)
        run_id = _run_of(client, experiment, search, name)
        try:
            client.set_tag(run_id, "budget", f"{budget.trials} trials, {budget.seconds:g} s")
            yield StudyRuns(client, experiment, run_id, _known(client, experiment, run_id))
        except BaseException as error:
            client.set_terminated(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        client.set_terminated(run_id)


def _run_of(client: MlflowClient, experiment: str, search: Search, name: str) -> str:
    """The run of this study, as told by its name and by what it is a study of."""
    for run in _runs(client, experiment, f"tags.`{STUDY_TAG}` = '{name}'"):
        if run.data.tags.get(BASIS_TAG) == search.name and TRIAL_TAG not in run.data.tags:
            client.update_run(run.info.run_id, "RUNNING")
            return str(run.info.run_id)
    tags = {STUDY_TAG: name, BASIS_TAG: search.name}
    run = client.create_run(experiment, run_name=f"study {name}", tags=tags)
    fingerprint, seed = search.examples.fingerprint, search.plan.seed
    client.log_param(run.info.run_id, "data_fingerprint", fingerprint)
    client.log_param(run.info.run_id, "seed", seed)
    return str(run.info.run_id)


def _known(client: MlflowClient, experiment: str, parent: str) -> set[int]:
    """The trials that are there as a whole; what an interruption left of others is deleted."""
    known = set()
    for run in _runs(client, experiment, f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'"):
        if run.info.status == "FINISHED":
            known.add(int(run.data.tags[TRIAL_TAG]))
        else:
            client.delete_run(run.info.run_id)
    return known


def _runs(client: MlflowClient, experiment: str, condition: str) -> list[Run]:
    found, token = [], None
    while True:
        page = client.search_runs([experiment], condition, max_results=1000, page_token=token)
        found += page
        if not (token := page.token):
            return found


def _record(trial: Trial) -> RunRecord:
    return RunRecord(
        name=f"trial {trial.number}",
        parameters=trial.parameters,
        metrics={**trial.figures, "seconds": trial.seconds},
        tags={TRIAL_TAG: str(trial.number), "fits": str(trial.fits).lower()},
    )
