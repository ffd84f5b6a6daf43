"""A ranked page in one process, against its floor: the bare round trips and the bare predictions.

500 candidates in, 150 of them to six heads of 100 trees of 31 leaves, pruned by a light ranker of 50 trees,
50 out, as bytes of JSON. The floor sends the same commands over the same client and predicts the same
matrices, and does nothing with either.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.feed_in_process import CPU, feed_here
from benchmarks.harness import Trial


@contextmanager
def trial() -> Iterator[Trial]:
    """A Valkey of its own, without persistence."""
    with feed_here("ranked", "full") as feed:
        yield Trial("feed-inprocess", feed.pages, feed.floor, ("p50_ms", "p50_ms"), more_ratios=CPU)
