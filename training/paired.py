"""Two models on the same rows: each one's metric, and the difference, with intervals of one bootstrap.

Whole readers are drawn with replacement: the lists of one reader are alike. Both models see the same draw, so
that what makes a list easy or hard cancels out of the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from training.metrics import CLIP, RESAMPLES, Array, Codes, Interval

Weighted = Callable[[Array], float]
"""A metric of one model's rows, by their weights."""


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
    first: Weighted,
    second: Weighted,
    labels: Array,
    readers: Codes,
    seed: int,
    resamples: int = RESAMPLES,
) -> Paired:
    """A row metric of two models, each given as a function of the rows' weights float64 [n].

    Raises:
        ValueError: the labels are all of one kind.
    """
    draws = []
    for drawn in _draws(np.bincount(readers), seed, resamples):
        weights = drawn[readers]
        if 0 < labels @ weights < weights.sum():
            draws.append([first(weights), second(weights)])
    if not draws:
        raise ValueError("A comparison needs labels of both kinds.")
    alone = np.ones(len(labels))
    return _paired((first(alone), second(alone)), np.array(draws))


def average_precision_of(labels: Array, scores: Array) -> Weighted:
    """:func:`training.metrics.average_precision` by the weights, sorted once for hundreds of draws."""
    places = np.unique(-scores, return_inverse=True)[1]

    def weighted(weights: Array) -> float:
        hits = np.cumsum(np.bincount(places, weights=weights * labels))
        shown = np.cumsum(np.bincount(places, weights=weights))
        precision = np.divide(hits, shown, out=np.zeros(len(hits)), where=shown > 0)
        return float(np.diff(hits, prepend=0.0) @ precision / hits[-1])

    return weighted


def relative_cross_entropy_of(labels: Array, scores: Array) -> Weighted:
    """:func:`training.metrics.relative_cross_entropy` by the weights, the rows' losses taken once."""
    chances = np.clip(scores, CLIP, 1 - CLIP)
    losses = -(labels * np.log(chances) + (1 - labels) * np.log1p(-chances))

    def weighted(weights: Array) -> float:
        rate, loss = labels @ weights / weights.sum(), losses @ weights / weights.sum()
        reference = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
        return float(100.0 * (reference - loss) / reference)

    return weighted


def pooled_cross_entropy_of(labels: Sequence[Array], scores: Sequence[Array]) -> Weighted:
    """The RCE of several heads together, 100 (1 - sum of CE / sum of CE_ref), by the weights.

    A head with few positives adds little to either sum, where a mean of RCEs would be mostly its noise.
    """
    losses = np.zeros(len(labels[0]))
    for seen, said in zip(labels, scores, strict=True):
        chances = np.clip(said, CLIP, 1 - CLIP)
        losses -= seen * np.log(chances) + (1 - seen) * np.log1p(-chances)

    def weighted(weights: Array) -> float:
        rates = np.clip([seen @ weights / weights.sum() for seen in labels], CLIP, 1 - CLIP)
        reference = -np.sum(rates * np.log(rates) + (1 - rates) * np.log1p(-rates))
        return float(100.0 * (1 - losses @ weights / weights.sum() / reference))

    return weighted


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
        Interval.of(first, draws[:, 0]),
        Interval.of(second, draws[:, 1]),
        Interval.of(first - second, draws[:, 0] - draws[:, 1]),
    )
