"""Running effects: what each key adds to the log-odds of a positive, learned label by label as they come.

A rate of a pair says little without who the two are. Here log-odds are a sum of effects, one per key of a
row, over the chance that its request gives each row. Each effect is normal a priori; its mean and variance
move with every label, by one step of an extended Kalman filter for logistic regression with a diagonal
covariance. Graepel et al., 2010, "Web-Scale Bayesian Click-Through Rate Prediction", do so for the probit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import exp, log, sqrt

import numpy as np

from features.ranking_log import Candidates
from features.running import Floats, Ints

LEAST_CHANCE, MOST_CHANCE = 1e-3, 0.5
PROBIT = np.pi / 8
"""A logistic curve averaged over normal log-odds is one of odds / sqrt(1 + PROBIT * variance)."""


def running_effects(
    rows: Candidates, keys: Mapping[str, Ints], variances: Mapping[str, float]
) -> dict[str, Floats]:
    """Per kind of ``keys`` the mean effect of each row's key as of ``counted``, float64 [n]; NaN if unknown.

    ``keys``: codes [n] per kind, negative where unknown. ``variances``: of an effect of the kind about which
    nothing is known yet. Only judged rows are learned from, once their labels are known.
    """
    kinds = [kind for kind in keys if (keys[kind] >= 0).any()]
    codes = [np.unique(np.append(keys[kind], -1), return_inverse=True)[1][:-1] - 1 for kind in kinds]
    keys_of = list(zip(*(code.tolist() for code in codes), strict=True))
    means = [[0.0] * (int(code.max()) + 1) for code in codes]
    spreads = [[variances[kind]] * len(mean) for kind, mean in zip(kinds, means, strict=True)]
    answers = np.full((len(kinds), len(rows)), np.nan)
    label = rows.label.tolist()
    _, request = np.unique(rows.request, return_inverse=True)
    size = np.bincount(request)[request].tolist()
    positives = requests = 1.0
    for learns, places in _in_order(rows):
        if not learns:
            for place in places:
                for kind, key in enumerate(keys_of[place]):
                    if key >= 0:
                        answers[kind, place] = means[kind][key]
            continue
        for place in places:
            known = [(kind, key) for kind, key in enumerate(keys_of[place]) if key >= 0]
            chance = min(max(positives / requests / size[place], LEAST_CHANCE), MOST_CHANCE)
            odds = log(chance / (1.0 - chance)) + sum(means[kind][key] for kind, key in known)
            spread = sum(spreads[kind][key] for kind, key in known)
            likely = 1.0 / (1.0 + exp(-odds / sqrt(1.0 + PROBIT * spread)))
            curve = likely * (1.0 - likely)
            for kind, key in known:
                step = spreads[kind][key] / (1.0 + curve * spread)
                means[kind][key] += step * (label[place] - likely)
                spreads[kind][key] *= 1.0 - step * curve
        for place in places:
            positives += label[place]
            requests += 1.0 / size[place]
    return dict(zip(kinds, answers, strict=True))


def _in_order(rows: Candidates) -> Iterator[tuple[bool, list[int]]]:
    """By time the places to answer for (False) and to learn from (True), those of a moment together.

    The questions of a moment come before its labels.
    """
    count, judged = len(rows), np.flatnonzero(rows.judged)
    times = np.concatenate([rows.counted, rows.known[judged]])
    places = np.concatenate([np.arange(count), judged])
    learns = np.arange(len(times)) >= count
    order = np.lexsort((places, learns, times))
    times, learns, places = times[order], learns[order], places[order]
    same = (np.diff(times) == 0) & (np.diff(learns.astype(np.int64)) == 0)
    for start, end in pairwise(np.flatnonzero(np.r_[True, ~same, True]).tolist()):
        yield bool(learns[start]), places[start:end].tolist()
