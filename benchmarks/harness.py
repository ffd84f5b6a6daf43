"""Runs a benchmark: warms up, repeats it beside its baseline, and says how much the figures spread.

A benchmark is a module ``benchmarks/<name>.py``, with ``_`` for ``-``, whose context manager ``trial()``
yields a :class:`Trial`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature

from rich.table import Table

Figures = Mapping[str, float]
NAMES = (
    "engagement-stream",
    "fanout",
    "fanout-memory",
    "fanout-stream",
    "features-read",
    "feed",
    "feed-chronological",
    "feed-http",
    "feed-inprocess",
    "feed-overload",
    "feed-textbook",
    "freshness",
    "growth",
    "offline-features",
    "score",
    "timeline-read",
    "timeline-rebuild",
    "trends",
    "trends-stream",
    "write",
)


class BenchmarkRefusedError(RuntimeError):
    """The benchmark cannot be run here; one sentence says why."""


@dataclass(frozen=True)
class Trial:
    """What is measured; each call of ``run`` and of ``baseline`` is one repetition and answers its figures.

    ``ratio`` names the figure, and the baseline's figure, whose medians are divided; ``more_ratios`` are
    others, by name.
    """

    name: str
    run: Callable[[], Figures]
    baseline: Callable[[], Figures] | None = None
    ratio: tuple[str, str] | None = None
    warmups: int = 1
    more_ratios: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """Of the repetitions."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(min(values), statistics.median(values), max(values))


@dataclass
class Result:
    """Figures by name, the baseline's apart."""

    name: str
    repeats: int
    figures: dict[str, Spread] = field(default_factory=dict)
    baseline: dict[str, Spread] = field(default_factory=dict)
    ratio: float | None = None
    more_ratios: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The medians under their names, the baseline's with ``baseline_``, and every spread."""
        flat: dict[str, object] = {"name": self.name, "repeats": self.repeats}
        if self.ratio is not None:
            flat["ratio"] = round(self.ratio, 4)
        flat.update({name: round(value, 4) for name, value in self.more_ratios.items()})
        rows = self._rows()
        flat.update({name: round(spread.median, 4) for name, spread in rows.items()})
        flat["spread"] = {
            name: [round(spread.low, 4), round(spread.median, 4), round(spread.high, 4)]
            for name, spread in rows.items()
        }
        return flat

    def table(self) -> Table:
        ratio = "" if self.ratio is None else f", ratio to the baseline {self.ratio:.3f}"
        ratio += "".join(f", {name} {value:.3f}" for name, value in self.more_ratios.items())
        title = f"{self.name}: {self.repeats} repetitions{ratio}"
        table = Table("figure", "min", "median", "max", title=title)
        for name, spread in self._rows().items():
            table.add_row(name, *(f"{value:,.2f}" for value in (spread.low, spread.median, spread.high)))
        return table

    def _rows(self) -> dict[str, Spread]:
        return self.figures | {f"baseline_{name}": spread for name, spread in self.baseline.items()}


def measure(trial: Trial, repeats: int, progress: Callable[[int, int], None]) -> Result:
    """Warm up, then alternate between the trial and its baseline, so that both see the same machine.

    Args:
        progress: told (rounds done, rounds in all).
    """
    ours: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    rounds = trial.warmups + repeats
    for number in range(rounds):
        for samples, run in ((ours, trial.run), (theirs, trial.baseline)):
            if run is not None:
                for name, value in run().items():
                    if number >= trial.warmups:
                        samples.setdefault(name, []).append(value)
        progress(number + 1, rounds)
    result = Result(
        trial.name,
        repeats,
        {name: Spread.of(values) for name, values in ours.items()},
        {name: Spread.of(values) for name, values in theirs.items()},
    )
    if trial.ratio is not None:
        result.ratio = _quotient(result, *trial.ratio)
    result.more_ratios = {name: _quotient(result, *pair) for name, pair in trial.more_ratios.items()}
    return result


def _quotient(result: Result, figure: str, base: str) -> float:
    return result.figures[figure].median / result.baseline[base].median


def open_trial(name: str, events: Sequence[int] = ()) -> AbstractContextManager[Trial]:
    """The trial of the benchmark of that name.

    Args:
        events: the sizes to measure, of a benchmark that has some.

    Raises:
        BenchmarkRefusedError: there is no such benchmark, or it cannot run here, or has no sizes.
    """
    if name not in NAMES:
        raise BenchmarkRefusedError(f"There is no benchmark {name}; there are {', '.join(NAMES)}.")
    trial = import_module(f"benchmarks.{name.replace('-', '_')}").trial
    if events and "events" not in signature(trial).parameters:
        raise BenchmarkRefusedError(f"{name} has one size.")
    opened: AbstractContextManager[Trial] = trial(events) if events else trial()
    return opened
