"""The versions of the model in MLflow: found by alias, fetched, moved, with what was decided of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from training.checks import RecordedCheck
from training.registry import RegistryError
from training.settings import MlflowSettings
from training.tracking import BUNDLE_ARTIFACTS, mlflow_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHALLENGER, LAST_GOOD = "challenger", "last-good"
CHECK_TAG = "check."
# MLflow refuses longer values of tags.
LONGEST_TAG = 5000


class NoModelError(RegistryError):
    """No version of the model was ever registered."""


@dataclass(frozen=True)
class ModelVersions:
    """The versions of one registered model; inside :func:`opened` a failing call is a RegistryError."""

    client: MlflowClient
    settings: MlflowSettings

    @property
    def name(self) -> str:
        return self.settings.model_name

    def aliases(self) -> dict[str, str]:
        """The version that each alias points at.

        Raises:
            NoModelError: there is no such model.
        """
        from mlflow.exceptions import MlflowException

        try:
            model = self.client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            place = self.settings.tracking_uri
            raise NoModelError(
                f"The registry at {place} has no model {self.name}: run `tideline train`."
            ) from None
        return {alias: str(version) for alias, version in model.aliases.items()}

    def champion(self) -> str | None:
        """The version that serves; None before the first promotion."""
        try:
            return self.aliases().get(self.settings.alias)
        except NoModelError:
            return None

    def all(self) -> list[ModelVersion]:
        """Newest first."""
        found = self.client.search_model_versions(f"name='{self.name}'", max_results=1000)
        return sorted(found, key=lambda version: int(version.version), reverse=True)

    def resolve(self, word: str) -> str:
        """The version that ``word``, a number or an alias, names.

        Raises:
            RegistryError: there is no such version or alias.
        """
        aliases = self.aliases()
        if word in aliases:
            return aliases[word]
        known = [str(version.version) for version in self.all()]
        if word not in known:
            there = ", ".join([*aliases, *known]) or "none"
            raise RegistryError(f"{self.name} has no version or alias {word!r}; there are {there}.")
        return word

    def fetch(self, version: str, folder: Path) -> Path:
        """The version's bundle as a folder below ``folder``.

        Raises:
            RegistryError: the version was not registered from a run.
        """
        target = folder / version
        target.mkdir(parents=True)
        return Path(self.client.download_artifacts(self._run(version), BUNDLE_ARTIFACTS, str(target)))

    def checks(self, version: str) -> list[RecordedCheck]:
        """What was recorded of the version by :func:`check_tags` or :meth:`record_check`.

        A tag that cannot be read is a check that failed.
        """
        tags = self.client.get_model_version(self.name, version).tags
        names = sorted(key.removeprefix(CHECK_TAG) for key in tags if key.startswith(CHECK_TAG))
        return [_check(name, tags[f"{CHECK_TAG}{name}"]) for name in names]

    def record_check(self, version: str, check: RecordedCheck) -> None:
        """Adds or replaces a check of the version: what is found of it after its training, parity for one."""
        ((key, value),) = check_tags([check]).items()
        self.client.set_model_version_tag(self.name, version, key, value)

    def read_text(self, version: str, file: str) -> str:
        """An artifact of the version's run.

        Raises:
            RegistryError: the run has none of that name.
        """
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory() as folder:
            try:
                found = self.client.download_artifacts(self._run(version), file, folder)
                return Path(found).read_text(encoding="utf-8")
            except (MlflowException, FileNotFoundError) as error:
                raise RegistryError(
                    f"{self.name}@{version} has no {file}: it was trained by an earlier build, or the "
                    "registry does not answer."
                ) from error

    def log_json(self, version: str, content: object, file: str) -> None:
        """Keeps ``content``, whose numbers that are none become null, as an artifact of the version's run."""
        text = msgspec.json.format(msgspec.json.encode(content), indent=1).decode()
        self.client.log_text(self._run(version), text, file)

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self.client.set_model_version_tag(self.name, version, key, value[:LONGEST_TAG])

    def tag_run(self, version: str, key: str, value: str) -> None:
        self.client.set_tag(self._run(version), key, value[:LONGEST_TAG])

    def point(self, alias: str, version: str) -> None:
        self.client.set_registered_model_alias(self.name, alias, version)

    def drop(self, alias: str) -> None:
        self.client.delete_registered_model_alias(self.name, alias)

    def _run(self, version: str) -> str:
        run_id = self.client.get_model_version(self.name, version).run_id
        if not run_id:
            raise RegistryError(f"{self.name}@{version} was not registered from a training run.")
        return str(run_id)


@contextmanager
def opened(settings: MlflowSettings) -> Iterator[ModelVersions]:
    """The model's versions; a registry that fails or goes away is a :class:`RegistryError`."""
    with mlflow_client(settings) as client:
        yield ModelVersions(client, settings)


def check_tags(checks: list[RecordedCheck]) -> dict[str, str]:
    """The checks as tags of a version."""
    return {
        f"{CHECK_TAG}{check.name}": msgspec.json.encode(
            msgspec.structs.replace(check, detail=check.detail[:1000])
        ).decode()
        for check in checks
    }


def _check(name: str, tag: str) -> RecordedCheck:
    try:
        return msgspec.json.decode(tag, type=RecordedCheck)
    except msgspec.DecodeError:
        return RecordedCheck(name, False, "what is recorded of it cannot be read")
