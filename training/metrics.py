"""The metrics, one function each: of rows (AP, AUC, log loss, RCE, calibration) and of lists (nDCG, MRR).

Arrays are float64 [n] over the rows of all lists; ``requests`` int64 [n] says which list a row is of, from 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

RESAMPLES = 200
CLIP = 1e-15


@dataclass(frozen=True)
class Interval:
    """A metric with its 95 % bootstrap interval, lists resampled with replacement."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, drawn: Array | list[float]) -> Interval:
        """``value`` within the middle 95 % of what it was in each draw."""
        low, high = np.quantile(drawn, (0.025, 0.975))
        return cls(float(value), float(low), float(high))


def average_precision(labels: Array, scores: Array, weights: Array | None = None) -> float:
    """AP: precision averaged over the positives in score order; a constant score gives the base rate.

    Area under an interpolated precision-recall curve flatters constant scores, so it is not used.
    """
    return float(average_precision_score(labels, scores, sample_weight=weights))


def area_under_roc(labels: Array, scores: Array, weights: Array | None = None) -> float:
    """The chance that a positive is scored above a negative, ties counting one half."""
    return float(roc_auc_score(labels, scores, sample_weight=weights))


def log_loss(labels: Array, probabilities: Array, weights: Array | None = None) -> float:
    """Mean cross entropy in nats, probabilities kept 1e-15 away from 0 and 1."""
    clipped = np.clip(probabilities, CLIP, 1 - CLIP)
    losses = -(labels * np.log(clipped) + (1 - labels) * np.log1p(-clipped))
    return float(np.average(losses, weights=weights))


def relative_cross_entropy(labels: Array, probabilities: Array, weights: Array | None = None) -> float:
    """RCE = 100 (CE_ref - CE) / CE_ref, where CE_ref predicts the mean of these very labels for all.

    100 is perfect, 0 no better than the base rate, below 0 worse than it. NaN for labels of one kind.
    """
    reference = log_loss(labels, np.full(len(labels), np.average(labels, weights=weights)), weights)
    if reference <= 1e-9:
        return float("nan")
    return 100.0 * (reference - log_loss(labels, probabilities, weights)) / reference


def calibration_error(labels: Array, probabilities: Array, bins: int = 10) -> float:
    """Mean distance between predicted and seen rate over ``bins`` equally full bins of the predictions."""
    parts = np.array_split(np.argsort(probabilities, kind="stable"), bins)
    gaps = [len(p) * abs(probabilities[p].mean() - labels[p].mean()) for p in parts if len(p)]
    return float(sum(gaps) / len(labels))


def places(requests: Codes, scores: Array, seed: int = 0) -> Codes:
    """Each row's place (0 = first) in its request by falling score, int64 [n].

    Ties are broken by a seeded shuffle: by the order of the rows they would reveal how a list was recorded.
    """
    shuffle = np.random.default_rng(seed).permutation(len(scores))
    order = np.lexsort((shuffle, -scores, requests))
    ordered = requests[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    starts = np.repeat(first, np.diff(np.r_[first, len(order)]))
    result = np.empty(len(scores), dtype=np.int64)
    result[order] = np.arange(len(order)) - starts
    return result


def reciprocal_ranks(requests: Codes, labels: Array, scores: Array) -> Array:
    """Per list 1 / (place of the first positive, from 1); 0 for a list without one."""
    gains = labels / (places(requests, scores) + 1.0)
    best = np.zeros(int(requests.max()) + 1)
    np.maximum.at(best, requests, gains)
    return best


def ndcg(requests: Codes, labels: Array, scores: Array, at: int = 10) -> Array:
    """Per list the discounted gain of its first ``at`` places over the best possible; 0 without positives."""
    count = int(requests.max()) + 1

    def gain(order_by: Array) -> Array:
        place = places(requests, order_by)
        discount = np.where(place < at, 1.0 / np.log2(place + 2.0), 0.0)
        return np.asarray(np.bincount(requests, weights=labels * discount, minlength=count))

    ideal = gain(labels)
    return np.divide(gain(scores), ideal, out=np.zeros(count), where=ideal > 0)


def list_auc(requests: Codes, labels: Array, scores: Array) -> Array:
    """Per list the chance that a positive is above a negative, ties counting one half; NaN for one kind.

    By the rank sum of Mann and Whitney, tied rows sharing the mean of their ranks.
    """
    order = np.lexsort((scores, requests))
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(len(scores))
    group = np.cumsum(
        np.r_[True, (np.diff(requests[order]) != 0) | (np.diff(scores[order]) != 0)], dtype=np.int64
    )
    ranks[order] = (np.bincount(group, weights=ranks[order]) / np.maximum(np.bincount(group), 1))[group]
    sizes = np.bincount(requests)
    ranks -= (np.cumsum(sizes) - sizes)[requests]
    positives = np.bincount(requests, weights=labels)
    above = np.bincount(requests, weights=labels * ranks) - positives * (positives - 1) / 2
    pairs = positives * (sizes - positives)
    return np.divide(above, pairs, out=np.full(len(sizes), np.nan), where=pairs > 0)


def rankable(requests: Codes, labels: Array) -> NDArray[np.bool_]:
    """Which lists hold both kinds: in the others every order is as good, so they say nothing of one."""
    sizes = np.bincount(requests)
    positives = np.bincount(requests, weights=labels)
    return (positives > 0) & (positives < sizes)


def mean_interval(values: Array, seed: int, resamples: int = RESAMPLES) -> Interval:
    """Mean of per-list values with its interval; NaN without lists."""
    if len(values) == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    drawn = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    return Interval.of(values.mean(), values[drawn].mean(axis=1))


def row_interval(
    metric: Callable[[Array, Array, Array], float],
    requests: Codes,
    labels: Array,
    scores: Array,
    seed: int,
    resamples: int = RESAMPLES // 4,
) -> Interval:
    """A weighted row metric with its interval; whole requests are drawn, as the rows of one are alike."""
    count = int(requests.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        weights = np.bincount(rng.integers(0, count, count), minlength=count)[requests].astype(np.float64)
        kept = weights > 0
        if 0 < np.average(labels, weights=weights) < 1:
            drawn.append(metric(labels[kept], scores[kept], weights[kept]))
    if not drawn:
        raise ValueError("An interval needs labels of both kinds.")
    return Interval.of(metric(labels, scores, np.ones(len(labels))), drawn)


def popularity_groups(followers: Array, groups: int = 5) -> Codes:
    """Rows put into ``groups`` equally full groups by the author's followers, 0 the least; -1 if unknown."""
    known = np.isfinite(followers)
    result = np.full(len(followers), -1, dtype=np.int64)
    if known.any():
        edges = np.quantile(followers[known], np.linspace(0, 1, groups + 1)[1:-1])
        result[known] = np.searchsorted(edges, followers[known], side="right")
    return result
