"""Reading the model registry: which version is champion, and its bundle as a folder on disk.

Calls of MLflow's public REST interface. MLflow's own client would cost a serving process about 100 MB and
many seconds of imports: it loads its plug-ins, and Feast is one of them.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from training.settings import MlflowSettings

FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class RegistryError(RuntimeError):
    """The registry cannot be reached or lacks what was asked for; the message is one sentence."""


class DownloadedModel(NamedTuple):
    """A bundle folder on disk and what it is in the registry: ``name@version``."""

    path: Path
    version: str


def champion_version(settings: MlflowSettings) -> str:
    """The version that the alias points at now: one small call, for polling.

    Raises:
        RegistryError: the registry does not answer, or has no champion.
    """
    with _connected(settings) as registry:
        return _champion(registry, settings)


def download_champion(settings: MlflowSettings, destination: Path) -> DownloadedModel:
    """The champion's bundle as a folder under ``destination``; one already there is not fetched again.

    Several processes may share ``destination``: a folder appears whole or not at all.

    Raises:
        RegistryError: the registry does not answer, has no champion, or keeps it where it cannot be fetched.
    """
    with _connected(settings) as registry:
        version = _champion(registry, settings)
        target = destination / f"{settings.model_name}-{version}"
        if not target.is_dir():
            destination.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=destination, prefix=".incoming-") as incoming:
                fetched = Path(incoming) / "bundle"
                fetched.mkdir()
                _fetch(registry, settings, version, fetched)
                _move(fetched, target)
    return DownloadedModel(target, f"{settings.model_name}@{version}")


def _champion(registry: httpx.Client, settings: MlflowSettings) -> str:
    asked = {"name": settings.model_name, "alias": settings.alias}
    answer = registry.get("/api/2.0/mlflow/registered-models/alias", params=asked)
    # MLflow answers 404 where there is no such model, 400 where the model has no such alias.
    if answer.status_code in (400, 404):
        raise RegistryError(
            f"The registry at {settings.tracking_uri} has no {settings.model_name}@{settings.alias}."
        )
    return str(answer.raise_for_status().json()["model_version"]["version"])


def _fetch(registry: httpx.Client, settings: MlflowSettings, version: str, folder: Path) -> None:
    """Writes the version's files into ``folder``: those of a bundle, which has no folders inside."""
    asked = {"name": settings.model_name, "version": version}
    answer = registry.get("/api/2.0/mlflow/model-versions/get-download-uri", params=asked).raise_for_status()
    source = urlsplit(answer.json()["artifact_uri"])
    if source.scheme != "mlflow-artifacts" or source.netloc:
        raise RegistryError(
            f"The registry at {settings.tracking_uri} keeps {settings.model_name}@{version} outside itself, "
            f"in {source.scheme or 'a local folder'}: start it with --serve-artifacts."
        )
    root = source.path.strip("/")
    artifacts = "/api/2.0/mlflow-artifacts/artifacts"
    listing = registry.get(artifacts, params={"path": root}).raise_for_status().json()
    for entry in listing.get("files", []):
        name = entry["path"].rsplit("/", 1)[-1]
        if entry["is_dir"] or not FILE_NAME.fullmatch(name):
            raise RegistryError(f"{settings.model_name}@{version} holds {name!r}, which no bundle does.")
        content = registry.get(f"{artifacts}/{root}/{name}").raise_for_status().content
        (folder / name).write_bytes(content)


def _move(fetched: Path, target: Path) -> None:
    try:
        fetched.rename(target)
    except OSError:
        # Another process was first: its copy is the same, so this one goes.
        if not target.is_dir():
            raise
        shutil.rmtree(fetched, ignore_errors=True)


@contextmanager
def _connected(settings: MlflowSettings) -> Iterator[httpx.Client]:
    """A client whose calls are bounded and whose failures become :class:`RegistryError`."""
    if urlsplit(settings.tracking_uri).scheme not in ("http", "https"):
        raise RegistryError(
            f"The registry's address {settings.tracking_uri} is not that of an MLflow server."
        )
    transport = httpx.HTTPTransport(retries=settings.retries)
    try:
        with httpx.Client(
            base_url=settings.tracking_uri, timeout=settings.timeout_seconds, transport=transport
        ) as client:
            yield client
    except (httpx.HTTPError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise RegistryError(f"The registry at {settings.tracking_uri} failed: {reason}") from error
