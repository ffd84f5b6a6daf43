"""A chronological page in one process, against its bare round trips: the same commands, nothing done with
the answers. 800 appearances, 50 items out, as bytes of JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.feed_in_process import CPU, feed_here
from benchmarks.harness import Trial


@contextmanager
def trial() -> Iterator[Trial]:
    """A Valkey of its own, without persistence."""
    with feed_here("chronological", "chronological") as feed:
        yield Trial("feed-chronological", feed.pages, feed.floor, ("p50_ms", "p50_ms"), more_ratios=CPU)
