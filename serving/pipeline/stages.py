"""The stages a candidate pipeline is made of: one small protocol each, one verb each.

Candidates travel as one table: a row per candidate, a column per thing that is known about all of them.
Stages only do their work. Order, time, errors, counts and concurrency belong to ``serving.pipeline.runner``.
``name`` is a read-only property, so that frozen dataclasses satisfy the protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
Columns = Mapping[str, NDArray[Any]]


class Table(Protocol):
    """Candidates: all columns have as many rows."""

    def __len__(self) -> int: ...

    def take(self, rows: Rows) -> Self:
        """These rows, in this order."""
        ...

    def with_columns(self, columns: Columns) -> Self:
        """With other values in some columns."""
        ...


Q = TypeVar("Q")
QIn = TypeVar("QIn", contravariant=True)
T = TypeVar("T", bound=Table)
TIn = TypeVar("TIn", bound=Table, contravariant=True)
TOut = TypeVar("TOut", bound=Table, covariant=True)


@dataclass(frozen=True, slots=True)
class Selection(Generic[T]):
    """``selected`` is the page, ``rest`` what would follow it, both in order."""

    selected: T
    rest: T


@dataclass(frozen=True, slots=True)
class Order:
    """All rows of a table, best first; the first ``page`` of them are shown.

    ``columns``, in the table's order, are put on it.
    """

    rows: Rows
    page: int
    columns: Columns = field(default_factory=dict)


class QueryHydrator(Protocol[QIn]):
    """Looks up what the query lacks: new values of some of its fields. All run at the same time.

    A failure is reported and skipped unless ``required``.
    """

    @property
    def name(self) -> str: ...

    @property
    def required(self) -> bool: ...

    async def hydrate(self, query: QIn) -> Mapping[str, Any]: ...


class Source(Protocol[QIn, TOut]):
    """Fetches candidates. A failure is reported and skipped while another source answers."""

    @property
    def name(self) -> str: ...

    async def fetch(self, query: QIn) -> TOut: ...


class Filter(Protocol[QIn, TIn]):
    """Tells for each candidate whether it stays. A failure fails the run: nothing is shown unfiltered."""

    @property
    def name(self) -> str: ...

    def keep(self, query: QIn, candidates: TIn) -> Mask: ...


class Hydrator(Protocol[QIn, TIn]):
    """Looks up columns, one value per candidate, in the same order.

    A failure leaves the candidates as they are and is reported, unless ``required``; a wrong number of
    values always raises.
    """

    @property
    def name(self) -> str: ...

    @property
    def required(self) -> bool: ...

    async def hydrate(self, query: QIn, candidates: TIn) -> Columns: ...


class Scorer(Protocol[QIn, TIn]):
    """Gives columns of scores, one value per candidate; on failure the next scorer takes over."""

    @property
    def name(self) -> str: ...

    async def score(self, query: QIn, candidates: TIn) -> Columns: ...


class Adjustment(Protocol[QIn, TIn]):
    """Changes scores by rule, after they were given; a failure fails the run."""

    @property
    def name(self) -> str: ...

    def adjust(self, query: QIn, candidates: TIn) -> Columns: ...


class Selector(Protocol[QIn, TIn]):
    """Orders the candidates and cuts the page."""

    @property
    def name(self) -> str: ...

    def select(self, query: QIn, candidates: TIn) -> Order: ...


class Keeper(Protocol[QIn, T]):
    """Keeps the whole ordering for later pages, while the page is completed; a failure fails the run."""

    @property
    def name(self) -> str: ...

    async def keep(self, query: QIn, selection: Selection[T]) -> None: ...


class SideEffect(Protocol[QIn, T]):
    """Runs after the response is built; a failure is counted and never reaches the client."""

    @property
    def name(self) -> str: ...

    async def run(self, query: QIn, selection: Selection[T]) -> None: ...


@dataclass(frozen=True)
class Together(Generic[Q, T]):
    """Hydrators that run at the same time and may not see each other's columns."""

    hydrators: tuple[Hydrator[Q, T], ...]


@dataclass(frozen=True)
class Pipeline(Generic[Q, T]):
    """One composition: ``steps`` run in order before scoring, ``page_steps`` only on what was selected.

    ``joined`` makes one table of those of the sources.
    """

    name: str
    joined: Callable[[Sequence[T]], T]
    sources: tuple[Source[Q, T], ...]
    selector: Selector[Q, T]
    query_hydrators: tuple[QueryHydrator[Q], ...] = ()
    steps: tuple[Filter[Q, T] | Together[Q, T], ...] = ()
    scorers: tuple[Scorer[Q, T], ...] = ()
    adjustments: tuple[Adjustment[Q, T], ...] = ()
    page_steps: tuple[Together[Q, T], ...] = ()
    keepers: tuple[Keeper[Q, T], ...] = ()
    side_effects: tuple[SideEffect[Q, T], ...] = ()
