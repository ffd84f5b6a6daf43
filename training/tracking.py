"""Writing to MLflow: a training run's figures, and its bundle as a model version.

A model version's source is the run's plain ``bundle`` artifact folder: no MLmodel file, no pyfunc, no pickle.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from training.registry import RegistryError
from training.settings import MlflowSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient

BUNDLE_ARTIFACTS, PLOT_ARTIFACTS = "bundle", "plots"
MLFLOW_PARENT_RUN_ID = "mlflow.parentRunId"
"""The tag by which MLflow shows a run below another."""
# What the server takes in one call.
MOST_PARAMETERS, MOST_METRICS = 100, 1000


@dataclass(frozen=True)
class RunRecord:
    """What a run leaves in MLflow besides its bundle; ``texts`` maps a file name to its content, ``folders``
    are kept under their names.

    ``children`` are runs nested under it, in the same experiment.
    """

    name: str
    parameters: Mapping[str, str | int | float]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    plots: Sequence[Path] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[Path] = ()
    children: Sequence[RunRecord] = ()
    data: DataRecord | None = None


@dataclass(frozen=True)
class DataRecord:
    """The examples that a run learned from, as MLflow lists them: a name and a fingerprint."""

    name: str
    fingerprint: str


def log_run(settings: MlflowSettings, bundle_path: Path, record: RunRecord) -> str:
    """Logs one training run with its bundle folder, plots and texts as artifacts; returns the run's id.

    Raises:
        RegistryError: the registry does not answer; the runs, if begun, are marked failed.
    """
    with mlflow_client(settings) as client:
        with logged(client, experiment_id(client, settings.experiment), record) as run_id:
            client.log_artifacts(run_id, str(bundle_path), BUNDLE_ARTIFACTS)
        return run_id


def log_record(settings: MlflowSettings, experiment: str, record: RunRecord) -> str:
    """Logs a run without a bundle in the experiment of that name; returns its id.

    Raises:
        RegistryError: MLflow does not answer; the runs, if begun, are marked failed.
    """
    with mlflow_client(settings) as client:
        with logged(client, experiment_id(client, experiment), record) as run_id:
            pass
        return run_id


@contextmanager
def logged(
    client: MlflowClient, experiment: str, record: RunRecord, parent: str | None = None
) -> Iterator[str]:
    """A run, by its id, with all of the record; it is finished after the block, or failed by an exception."""
    tags = {**record.tags, MLFLOW_PARENT_RUN_ID: parent} if parent else dict(record.tags)
    run_id = str(client.create_run(experiment, run_name=record.name, tags=tags).info.run_id)
    try:
        _log_figures(client, run_id, record)
        if record.data is not None:
            _log_data(client, run_id, record.data)
        for plot in record.plots:
            client.log_artifact(run_id, str(plot), PLOT_ARTIFACTS)
        for name, text in record.texts.items():
            client.log_text(run_id, text, name)
        for folder in record.folders:
            client.log_artifacts(run_id, str(folder), folder.name)
        for child in record.children:
            with logged(client, experiment, child, run_id):
                pass
        yield run_id
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)


def experiment_id(client: MlflowClient, name: str) -> str:
    """The id of the experiment, which is made if there is none."""
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


def register(
    settings: MlflowSettings, run_id: str, tags: Mapping[str, str], description: str | None = None
) -> str:
    """Makes the run's bundle the next version of ``settings.model_name`` and returns that version.

    Raises:
        RegistryError: the registry does not answer, or has no such run.
    """
    from mlflow.exceptions import MlflowException

    with mlflow_client(settings) as client:
        try:
            client.create_registered_model(settings.model_name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{client.get_run(run_id).info.artifact_uri}/{BUNDLE_ARTIFACTS}"
        version = client.create_model_version(
            settings.model_name,
            source,
            run_id,
            tags=dict(tags),
            description=description,
            await_creation_for=0,
        )
        return str(version.version)


def _log_figures(client: MlflowClient, run_id: str, record: RunRecord) -> None:
    """All parameters and metrics in few calls: one call each would take seconds."""
    from mlflow.entities import Metric, Param

    parameters = [Param(key, str(value)) for key, value in record.parameters.items()]
    at = client.get_run(run_id).info.start_time
    metrics = [Metric(key, value, at, 0) for key, value in record.metrics.items()]
    for start in range(0, max(len(parameters), 1), MOST_PARAMETERS):
        client.log_batch(run_id, params=parameters[start : start + MOST_PARAMETERS])
    for start in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + MOST_METRICS])


def _log_data(client: MlflowClient, run_id: str, data: DataRecord) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    # A digest may have 36 characters.
    dataset = Dataset(data.name, data.fingerprint[:32], "local", data.fingerprint)
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


@contextmanager
def mlflow_client(settings: MlflowSettings) -> Iterator[MlflowClient]:
    """A client whose calls are bounded and whose failures become :class:`RegistryError`."""
    # MLflow takes these from the environment only, and some of them while it is imported.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = str(settings.retries)
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(settings.training_timeout_seconds)
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        yield MlflowClient(settings.tracking_uri, settings.tracking_uri)
    except MlflowException as error:
        raise RegistryError(_sentence(settings, error.message)) from error
    except RequestException as error:
        raise RegistryError(_sentence(settings, str(error))) from error


def _sentence(settings: MlflowSettings, reason: str) -> str:
    first = (reason.splitlines() or ["no reason given"])[0]
    if "failed with exception" in first:  # what MLflow says of any connection that came to nothing
        first = "it does not answer."
    return f"The registry at {settings.tracking_uri} failed: {first[:200]}"
