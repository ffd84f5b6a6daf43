"""What a run says about itself, and how it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal

from serving.pipeline.stages import Q, T

Kind = Literal["query_hydrator", "source", "filter", "hydrator", "scorer", "adjustment", "selector", "keeper"]


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage of one run: candidates in and out, milliseconds, and what went wrong, if anything."""

    kind: Kind
    name: str
    entered: int
    left: int
    ms: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Run(Generic[Q, T]):
    """The outcome of a pipeline: the page, what would follow it, and one report per stage."""

    query: Q
    selected: T
    rest: T
    candidates: int
    reports: tuple[StageReport, ...]

    @property
    def removed(self) -> dict[str, int]:
        """Candidates removed by each filter, in the order of the filters."""
        return {r.name: r.entered - r.left for r in self.reports if r.kind == "filter"}

    @property
    def scorer(self) -> str | None:
        """The scorer that answered; None where nothing was scored."""
        return next((r.name for r in self.reports if r.kind == "scorer" and r.error is None), None)


class StageContractError(Exception):
    """A stage broke its contract (a programmer's error): never skipped, never answered over."""


class PipelineError(RuntimeError):
    """The run could not finish; ``reports`` tells how far it came."""

    def __init__(self, sentence: str, reports: Sequence[StageReport]) -> None:
        super().__init__(sentence)
        self.reports = tuple(reports)


class StageFailedError(PipelineError):
    """A stage the run cannot do without failed; the cause is chained."""

    def __init__(self, stage: str, cause: Exception, reports: Sequence[StageReport]) -> None:
        super().__init__(f"Stage {stage} failed: {cause}", reports)
        self.stage = stage
        self.cause = cause


class DeadlineExceededError(PipelineError):
    """Time ran out before or within the named stage."""

    def __init__(self, stage: str, reports: Sequence[StageReport]) -> None:
        super().__init__(f"Time ran out at stage {stage}.", reports)
        self.stage = stage
