"""What a command prints as one sentence instead of a traceback."""

from __future__ import annotations

import errno
import tomllib
from typing import Any

# Failures of the layers below that are the reader's to mend, by name: naming them imports nothing.
KNOWN = frozenset(
    {
        "features.store.FeatureServiceError",
        "features.store.OfflineRowsMissingError",
        "ingestion.datasets.dataset.DatasetError",
        "ingestion.lake_partitions.LakeFileError",
        "ingestion.machine.NoMachineNumberError",
        "ingestion.publisher.LogUnavailableError",
        "ingestion.tokens.SigningKeyError",
        "ingestion.world.plan.WorldError",
        "pipelines.batch.validation.DataQualityError",
        "pipelines.stream.connectors.MissingTopicsError",
        "records.migrate.RecordsUnavailableError",
        "serving.toml_file.TomlFileError",
        "stack.demo.probe.ProbeError",
        "training.manifest.BundleError",
        "training.dataset.DatasetError",
        "training.off_policy.OffPolicyError",
        "training.promotion.NothingToRestoreError",
        "training.registry.RegistryError",
        "training.tuning.parameters.ParametersError",
        "training.tuning.study.StudyError",
    }
)


class UserError(Exception):
    """One sentence for the person at the command line."""


DISK_TROUBLE = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EACCES,
        errno.EROFS,
        errno.EPERM,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.EISDIR,
    }
)


def sentence_of(error: BaseException) -> str | None:
    """What a person is told of a failure that is theirs to mend; None for a fault of the program."""
    if is_user_error(error):
        return str(error)
    if isinstance(error, tomllib.TOMLDecodeError):
        return f"tideline.toml is not valid TOML: {error}."
    if isinstance(error, OSError) and error.errno in DISK_TROUBLE:
        return f"{error.filename or 'A file'} cannot be written: {error.strerror}."
    return _setting_sentence(error)


def _setting_sentence(error: Any) -> str | None:
    """Pydantic is not imported for this: its errors name the model that refused."""
    if type(error).__name__ == "ValidationError" and str(getattr(error, "title", "")).endswith("Settings"):
        first = error.errors()[0]
        name = "__".join(str(part) for part in first["loc"]).upper()
        return f"The setting TIDELINE_{name} is not right: {first['msg']}."
    if type(error).__name__ == "SettingsError":
        return f"The settings cannot be read: {error}."
    return None


def is_user_error(error: BaseException) -> bool:
    """Whether the error's own text is all that a person needs."""
    if isinstance(error, UserError):
        return True
    return any(f"{kind.__module__}.{kind.__qualname__}" in KNOWN for kind in type(error).__mro__)
