"""What a bundle costs at serving, as a ratio to one plain head that means the same on any machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import lightgbm
import numpy as np

from training.bundle import Bundle, Matrix
from training.manifest import ScoringCost

LIGHT_ROWS, HEAD_ROWS = 500, 150
"""What a full page scores: all candidates by the light ranker, the best of them by the heads."""
PLAIN_ROWS, PLAIN_TREES, PLAIN_LEAVES = 500, 200, 31
REPEATS = 15
MOST_FITTED = 4000


def scoring_cost(bundle: Bundle, rows: Matrix, repeats: int = REPEATS) -> ScoringCost:
    """What a full page costs the bundle, on model input like ``rows``."""
    return page_cost(lambda page: score_page(bundle, page), rows, repeats)


def page_cost(score: Callable[[Matrix], object], rows: Matrix, repeats: int = REPEATS) -> ScoringCost:
    """Medians over ``repeats`` of ``score`` on a page of rows like ``rows`` and of a plain head, in turn.

    The time is that of this thread's processor, which hardly feels what else the machine does.
    """
    plain = plain_head(rows)
    page, plain_rows = candidates(rows, LIGHT_ROWS), candidates(rows, PLAIN_ROWS)
    ours, theirs = [], []
    for number in range(repeats + 1):
        page_ms = timed(lambda: score(page))
        plain_ms = timed(lambda: plain.predict(plain_rows, num_threads=1))
        # The first is a warm-up.
        if number:
            ours.append(page_ms)
            theirs.append(plain_ms)
    return ScoringCost(median(ours), median(theirs))


def score_page(bundle: Bundle, page: Matrix) -> None:
    """As a full page does: the light ranker on all candidates, the heads on 150 (on all without one)."""
    if bundle.light is not None:
        bundle.light_score(page)
        page = page[:HEAD_ROWS]
    bundle.score(page)


def plain_head(rows: Matrix) -> lightgbm.Booster:
    """200 full trees of 31 leaves over ``rows``, fitted to noise so that each grows to its full size."""
    rows = candidates(rows, min(max(len(rows), 1000), MOST_FITTED))
    labels = np.random.default_rng(0).integers(0, 2, len(rows)).astype(np.float64)
    settings = {
        "objective": "binary",
        "num_leaves": PLAIN_LEAVES,
        "min_data_in_leaf": 5,
        "seed": 0,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    return lightgbm.train(settings, lightgbm.Dataset(rows, labels), num_boost_round=PLAIN_TREES)


def candidates(rows: Matrix, count: int) -> Matrix:
    """``count`` of the rows, from the first again where there are fewer."""
    return np.ascontiguousarray(rows[np.arange(count) % len(rows)])


def timed(run: Callable[[], object]) -> float:
    """Milliseconds of this thread's processor."""
    began = time.thread_time()
    run()
    return (time.thread_time() - began) * 1000
