"""What a page costs to score with a bundle of the default size, beside one plain head on 500 rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.feed_model import model_input, write_model
from benchmarks.harness import Figures, Trial
from training.latency import LIGHT_ROWS, PLAIN_ROWS, candidates, plain_head, score_page, timed
from training.train import FULL, LIGHT

CALLS = 10


@contextmanager
def trial() -> Iterator[Trial]:
    """The light ranker on 500 candidates and the heads on 150; each repetition is the median of ``CALLS``."""
    with tempfile.TemporaryDirectory(prefix="tideline-bench-") as folder:
        bundle = write_model(
            Path(folder) / "model",
            trees=FULL.trees,
            leaves=FULL.leaves,
            light_trees=LIGHT.trees,
            light_leaves=LIGHT.leaves,
        )
    rows = model_input(np.random.default_rng(7))
    plain, page, plain_rows = plain_head(rows), candidates(rows, LIGHT_ROWS), candidates(rows, PLAIN_ROWS)

    def ours() -> Figures:
        return {"page_ms": float(np.median([timed(lambda: score_page(bundle, page)) for _ in range(CALLS)]))}

    def theirs() -> Figures:
        times = [timed(lambda: plain.predict(plain_rows, num_threads=1)) for _ in range(CALLS)]
        return {"plain_ms": float(np.median(times))}

    yield Trial("score", ours, theirs, ("page_ms", "plain_ms"))
