"""The servers of a loop: a Valkey and an MLflow of its own, and settings that name nothing else."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stack import lifecycle
from stack.addresses import Choices, render
from stack.closed_loop.plan import ATTRIBUTION_HOURS, GATE
from stack.settings import Ports, StackSettings

SERVERS = ("valkey", "mlflow")
NAMESPACE = "closed-loop"


@contextmanager
def servers(folder: Path, announce: Callable[[str], None]) -> Iterator[None]:
    """Both run until the block ends; meanwhile all settings of this process are of the loop's folder.

    Raises:
        UserError: one of them does not start.
    """
    settings = StackSettings(home=folder.absolute())
    own = settings.stack.model_copy(update={"ports": Ports(valkey=0, mlflow=0)})
    plan = lifecycle.make_plan(settings.model_copy(update={"stack": own}), SERVERS, announce)
    announce("starting Valkey and MLflow")
    choices = Choices(namespace=NAMESPACE)
    lifecycle.start(plan, choices, lambda state: None)
    try:
        of_servers = variables(tomllib.loads(render(plan, choices)))
        own_settings = {
            "redis": {"cluster": False},
            "features": {"attribution_hours": ATTRIBUTION_HOURS},
            "gate": GATE,
        }
        with environment(of_servers | variables(own_settings)):
            yield
    finally:
        lifecycle.stop(plan.layout, plan.stack.stop_seconds)


def variables(settings: Mapping[str, object], prefix: str = "TIDELINE_") -> dict[str, str]:
    """The settings as variables: these are stronger than what ``tideline.toml`` says of a deployment."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= variables(value, f"{prefix}{name.upper()}__")
        else:
            found[prefix + name.upper()] = str(value)
    return found


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables are set until the block ends."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
