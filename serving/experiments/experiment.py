"""An experiment: its arms, in one TOML file, and which of them a reader is in, for ever the same."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from serving.feed.candidates import SourceName
from serving.feed.policy import Policy, load_policy
from serving.seeded import chances
from serving.toml_file import read_toml

Name = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9_-]{0,63}\Z")]
Alias = Annotated[str, Meta(pattern=r"\A[A-Za-z][A-Za-z0-9_-]{0,63}\Z")]


class Arm(Struct, frozen=True, forbid_unknown_fields=True):
    """What readers of one arm get; None stands for what is in force without the experiment.

    ``model``: an MLflow alias. ``policy``: a policy file, beside the experiment's. ``sources``: the only
    sources that are asked.
    """

    name: Name
    weight: Annotated[float, Meta(gt=0, le=1)]
    model: Alias | None = None
    policy: Annotated[str, Meta(min_length=1)] | None = None
    sources: Annotated[tuple[SourceName, ...], Meta(min_length=1)] | None = None


class Shadow(Struct, frozen=True, forbid_unknown_fields=True):
    """A model that scores every reader's candidates without its order being shown."""

    name: Name
    model: Alias


class Experiment(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole experiment file; the first arm is the control. Another ``salt`` draws all readers anew."""

    format: Literal[1]
    name: Name
    salt: Annotated[str, Meta(min_length=1)]
    arms: Annotated[tuple[Arm, ...], Meta(min_length=1)]
    shadows: tuple[Shadow, ...] = ()

    def __post_init__(self) -> None:
        total = math.fsum(arm.weight for arm in self.arms)
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the weights of the arms sum to {total:g}, not to 1")
        twice = _first_repeated([*(arm.name for arm in self.arms), *(shadow.name for shadow in self.shadows)])
        if twice is not None:
            raise ValueError(f"two arms are called {twice}")

    @property
    def control(self) -> Arm:
        return self.arms[0]

    def arm_of(self, reader: int) -> Arm:
        """The arm of a reader, by hash of the salt and the reader's id."""
        (chance,) = chances(self.salt, str(reader), 1)
        for arm in self.arms[:-1]:
            if chance < arm.weight:
                return arm
            chance -= arm.weight
        return self.arms[-1]


def load_experiment(path: Path) -> Experiment:
    """The experiment of a file.

    Raises:
        TomlFileError: the file cannot be read or is not right; one sentence names the field.
    """
    return read_toml(path, Experiment)


def policies_of(experiment: Experiment, folder: Path, otherwise: Policy) -> dict[str, Policy]:
    """The policy of each arm by its name; ``folder`` is where the experiment's file lies.

    Raises:
        TomlFileError: as ``load_policy``.
    """
    return {
        arm.name: otherwise if arm.policy is None else load_policy(folder / arm.policy)
        for arm in experiment.arms
    }


def _first_repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
