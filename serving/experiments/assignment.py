"""What a reader's ranking is made with: what is in force, or what the reader's arm of an experiment says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.experiments.experiment import Experiment, load_experiment, policies_of
from serving.feed.candidates import SOURCES, SourceName
from serving.feed.policy import Policy


@dataclass(frozen=True)
class Treatment:
    """``arm``: ``experiment:arm``; ``model``: an alias of the registry, None for the champion's;
    ``sources``: the only ones that are asked.
    """

    policy: Policy
    arm: str | None = None
    model: str | None = None
    sources: tuple[SourceName, ...] = SOURCES


@dataclass(frozen=True)
class Assignment:
    """An experiment that is under way: ``treatments`` by the names of its arms."""

    experiment: Experiment
    treatments: Mapping[str, Treatment]

    @classmethod
    def load(cls, path: Path, otherwise: Policy) -> Assignment:
        """The experiment of a file; arms that name no policy have ``otherwise``.

        Raises:
            TomlFileError: the file, or a policy that it names, is not right.
        """
        experiment = load_experiment(path)
        policies = policies_of(experiment, path.parent, otherwise)
        treatments = {
            arm.name: Treatment(
                policies[arm.name], arm_label(experiment, arm.name), arm.model, arm.sources or SOURCES
            )
            for arm in experiment.arms
        }
        return cls(experiment, treatments)

    @property
    def aliases(self) -> frozenset[str]:
        """The models that arms and shadows need beside the champion."""
        of_arms = {arm.model for arm in self.experiment.arms if arm.model is not None}
        return frozenset(of_arms | {shadow.model for shadow in self.experiment.shadows})

    def treatment(self, reader: int) -> Treatment:
        return self.treatments[self.experiment.arm_of(reader).name]


def arm_label(experiment: Experiment, arm: str) -> str:
    """How impressions name an arm."""
    return f"{experiment.name}:{arm}"
