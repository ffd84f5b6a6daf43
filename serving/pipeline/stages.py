"""The stages a candidate pipeline is made of: one small protocol each, one verb each.

Stages only do their work. Order, time, errors, counts and concurrency belong to ``serving.pipeline.runner``.
``name`` is a read-only property, so that frozen dataclasses satisfy the protocols.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

Q = TypeVar("Q")
C = TypeVar("C")
QIn = TypeVar("QIn", contravariant=True)
P = TypeVar("P")
COut = TypeVar("COut", covariant=True)


@dataclass(frozen=True, slots=True)
class Partition(Generic[C]):
    """What a filter did with its input: every candidate is in exactly one of the two."""

    kept: Sequence[C]
    removed: Sequence[C]


@dataclass(frozen=True, slots=True)
class Selection(Generic[C]):
    """``selected`` is the page, ``rest`` what would follow it, both in order."""

    selected: Sequence[C]
    rest: Sequence[C]


class QueryHydrator(Protocol[Q]):
    """Completes the query. A failure is reported and skipped unless ``required``."""

    @property
    def name(self) -> str: ...

    @property
    def required(self) -> bool: ...

    async def hydrate(self, query: Q) -> Q: ...


class Source(Protocol[QIn, COut]):
    """Fetches candidates. A failure is reported and skipped while another source answers."""

    @property
    def name(self) -> str: ...

    async def fetch(self, query: QIn) -> Sequence[COut]: ...


class Filter(Protocol[QIn, C]):
    """Splits candidates into kept and removed. A failure fails the run: nothing is shown unfiltered."""

    @property
    def name(self) -> str: ...

    def split(self, query: QIn, candidates: Sequence[C]) -> Partition[C]: ...


class Hydrator(Protocol[QIn, C, P]):
    """Looks up one patch per candidate, in the same order; ``apply`` puts a patch on its candidate.

    A failure leaves the candidates as they are and is reported, unless ``required``; a wrong number of
    patches always raises.
    """

    @property
    def name(self) -> str: ...

    @property
    def required(self) -> bool: ...

    async def hydrate(self, query: QIn, candidates: Sequence[C]) -> Sequence[P]: ...

    def apply(self, candidate: C, patch: P) -> C: ...


class Scorer(Protocol[QIn, C, P]):
    """Gives one score value per candidate, in the same order; on failure the next scorer takes over."""

    @property
    def name(self) -> str: ...

    async def score(self, query: QIn, candidates: Sequence[C]) -> Sequence[P]: ...

    def apply(self, candidate: C, value: P) -> C: ...


class Selector(Protocol[QIn, C]):
    """Orders the candidates and cuts the page."""

    @property
    def name(self) -> str: ...

    def select(self, query: QIn, candidates: Sequence[C]) -> Selection[C]: ...


class SideEffect(Protocol[QIn, C]):
    """Runs after the response is built; a failure is counted and never reaches the client."""

    @property
    def name(self) -> str: ...

    async def run(self, query: QIn, selection: Selection[C]) -> None: ...


@dataclass(frozen=True)
class Together(Generic[Q, C]):
    """Hydrators that run at the same time and may not see each other's patches."""

    hydrators: tuple[Hydrator[Q, C, Any], ...]


@dataclass(frozen=True)
class Pipeline(Generic[Q, C]):
    """One composition: ``steps`` run in order before scoring, ``page_steps`` only on what was selected."""

    name: str
    sources: tuple[Source[Q, C], ...]
    selector: Selector[Q, C]
    query_hydrators: tuple[QueryHydrator[Q], ...] = ()
    steps: tuple[Filter[Q, C] | Together[Q, C], ...] = ()
    scorers: tuple[Scorer[Q, C, Any], ...] = ()
    page_steps: tuple[Together[Q, C], ...] = ()
    side_effects: tuple[SideEffect[Q, C], ...] = ()
