"""Two models on the same rows: each one's metric, and the difference, with intervals of one bootstrap.

Whole readers are drawn with replacement: the lists of one reader are alike. Both models see the same draw, so
that what makes a list easy or hard cancels out of the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from training.metrics import RESAMPLES, Array, Codes, Interval

RowMetric = Callable[[Array, Array, Array], float]


@dataclass(frozen=True)
class Paired:
    """A metric of two models; ``difference`` is the first one's less the second one's."""

    first: Interval
    second: Interval
    difference: Interval


def paired_means(
    first: Array, second: Array, readers: Codes, seed: int, resamples: int = RESAMPLES
) -> Paired:
    """Means of per-list values [lists], each list of the reader in ``readers`` int64 [lists].

    Raises:
        ValueError: there are no lists.
    """
    if len(first) == 0:
        raise ValueError("A comparison needs lists.")
    lists = np.bincount(readers).astype(np.float64)
    totals = np.stack([np.bincount(readers, weights=values) for values in (first, second)])
    draws = [totals @ drawn / (lists @ drawn) for drawn in _draws(lists, seed, resamples)]
    return _paired((float(first.mean()), float(second.mean())), np.array(draws))


def paired_rows(
    metric: RowMetric,
    labels: Array,
    first: Array,
    second: Array,
    readers: Codes,
    seed: int,
    resamples: int = RESAMPLES,
) -> Paired:
    """A weighted row metric ``metric(labels, scores, weights)`` of two models' scores, each float64 [n].

    Raises:
        ValueError: the labels are all of one kind.
    """
    draws = []
    for drawn in _draws(np.bincount(readers), seed, resamples):
        weights = drawn[readers]
        kept = weights > 0
        if labels[kept].min() < labels[kept].max():
            draws.append([metric(labels[kept], scores[kept], weights[kept]) for scores in (first, second)])
    if not draws:
        raise ValueError("A comparison needs labels of both kinds.")
    alone = np.ones(len(labels))
    return _paired((metric(labels, first, alone), metric(labels, second, alone)), np.array(draws))


def _draws(rows: Array | Codes, seed: int, resamples: int) -> Iterator[Array]:
    """How often each reader is in a draw, float64 [readers]; codes without rows are no readers."""
    present = np.flatnonzero(rows)
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        drawn = rng.choice(present, len(present))
        yield np.bincount(drawn, minlength=len(rows)).astype(np.float64)


def _paired(values: tuple[float, float], draws: Array) -> Paired:
    first, second = values
    return Paired(
        _interval(first, draws[:, 0]),
        _interval(second, draws[:, 1]),
        _interval(first - second, draws[:, 0] - draws[:, 1]),
    )


def _interval(value: float, draws: Array) -> Interval:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(value, float(low), float(high))
