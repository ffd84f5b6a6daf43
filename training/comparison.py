"""Two models side by side on the same held-out examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.labels import ENGAGED
from training.bundle import Scores
from training.dataset import Examples
from training.metrics import (
    Array,
    Codes,
    ndcg,
    places,
    rankable,
    reciprocal_ranks,
)
from training.paired import (
    Paired,
    average_precision_of,
    paired_means,
    paired_rows,
    pooled_cross_entropy_of,
    relative_cross_entropy_of,
)
from training.slices import slices

TOP = 10


@dataclass(frozen=True)
class Comparison:
    """The first model beside the second; every difference is the first one's lead.

    ``metrics``: ``ndcg_10`` and ``mrr`` of the order by score, ``rce`` of the heads that both have together,
    ``<head>.ap`` and ``<head>.rce`` of each. ``worse``: the RCE of a head on a slice, by ``<head>, <slice>``,
    where the whole interval of the difference is below zero. ``rank_correlation`` is Spearman's of all
    scores; ``top_10_overlap`` the mean share of the first ten that both orders have, over lists of more than
    ten (NaN without such lists). ``lacking`` are the heads that only the second has.
    """

    lists: int
    readers: int
    metrics: Mapping[str, Paired]
    worse: Mapping[str, Paired]
    rank_correlation: float
    top_10_overlap: float
    lacking: tuple[str, ...] = ()


def compare(first: Scores, second: Scores, examples: Examples, seed: int) -> Comparison:
    """Both models' scores of ``examples``, metric by metric.

    Raises:
        ValueError: no list holds both engaged and other items, or a label is of one kind.
    """
    requests = examples.requests
    readers = np.asarray(pd.factorize(examples.frame["user"])[0], dtype=np.int64)
    labels = examples.labels(ENGAGED)
    kept = rankable(requests, labels)
    reader_of_list = readers[np.unique(requests, return_index=True)[1]][kept]
    metrics = {}
    for name, metric in (("ndcg_10", ndcg), ("mrr", reciprocal_ranks)):
        values = [metric(requests, labels, scores.score)[kept] for scores in (first, second)]
        metrics[name] = paired_means(values[0], values[1], reader_of_list, seed)
    common = _common(first, second)
    if common:
        seen_of = [examples.labels(head) for head in common]
        pooled = [
            pooled_cross_entropy_of(seen_of, [scores.probabilities[head] for head in common])
            for scores in (first, second)
        ]
        metrics["rce"] = paired_rows(pooled[0], pooled[1], labels, readers, seed)
    for head in common:
        seen, ours, theirs = examples.labels(head), first.probabilities[head], second.probabilities[head]
        for name, metric_of in (("ap", average_precision_of), ("rce", relative_cross_entropy_of)):
            metrics[f"{head}.{name}"] = paired_rows(
                metric_of(seen, ours), metric_of(seen, theirs), seen, readers, seed
            )
    return Comparison(
        lists=int(kept.sum()),
        readers=len(np.unique(reader_of_list)),
        metrics=metrics,
        worse=_worse_slices(first, second, examples, readers, seed),
        rank_correlation=_rank_correlation(first.score, second.score),
        top_10_overlap=top_overlap(requests, first.score, second.score),
        lacking=tuple(head for head in second.probabilities if head not in first.probabilities),
    )


def _common(first: Scores, second: Scores) -> list[str]:
    return [head for head in first.probabilities if head in second.probabilities]


def _worse_slices(
    first: Scores, second: Scores, examples: Examples, readers: Codes, seed: int
) -> dict[str, Paired]:
    found = {}
    parts = slices(examples)
    for head in _common(first, second):
        labels = examples.labels(head)
        for name, rows in parts.items():
            seen = labels[rows]
            if seen.min() < seen.max():
                of_both = [
                    relative_cross_entropy_of(seen, scores.probabilities[head][rows])
                    for scores in (first, second)
                ]
                part = paired_rows(of_both[0], of_both[1], seen, readers[rows], seed)
                if part.difference.high < 0:
                    found[f"{head}, {name}"] = part
    return found


def top_overlap(requests: Codes, first: Array, second: Array, at: int = TOP) -> float:
    """The share of the first ``at`` places that two orders have in common, mean over longer lists."""
    both = (places(requests, first) < at) & (places(requests, second) < at)
    longer = np.bincount(requests) > at
    if not longer.any():
        return float("nan")
    return float(np.bincount(requests, weights=both)[longer].mean() / at)


def _rank_correlation(first: Array, second: Array) -> float:
    ranks = pd.DataFrame({"first": first, "second": second}).rank().to_numpy()
    return float(np.corrcoef(ranks, rowvar=False)[0, 1])
