"""What a command prints as one sentence instead of a traceback."""

from __future__ import annotations

# Failures of the layers below that are the reader's to mend, by name: naming them imports nothing.
KNOWN = frozenset(
    {
        "features.store.OfflineRowsMissingError",
        "ingestion.datasets.dataset.DatasetError",
        "ingestion.machine.NoMachineNumberError",
        "ingestion.publisher.LogUnavailableError",
        "ingestion.tokens.SigningKeyError",
        "ingestion.world.plan.WorldError",
        "pipelines.batch.quality.DataQualityError",
        "pipelines.stream.connectors.MissingTopicsError",
        "stack.demo.probe.ProbeError",
        "training.bundle.BundleError",
        "training.dataset.DatasetError",
        "training.registry.RegistryError",
    }
)


class UserError(Exception):
    """One sentence for the person at the command line."""


def is_user_error(error: BaseException) -> bool:
    """Whether the error's own text is all that a person needs."""
    if isinstance(error, UserError):
        return True
    return any(f"{kind.__module__}.{kind.__qualname__}" in KNOWN for kind in type(error).__mro__)
