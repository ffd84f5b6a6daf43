"""A ranked page of 50 over HTTP at half of the highest rate, beside the same service without load.

First the highest rate that one worker on one core answers on the full rung within its deadline. Then half of
it, evenly paced, with 300 idle streams open. ``ratio`` is the loaded p99 to the unloaded p50.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.feed_load import FeedOverHttp, feed_over_http
from benchmarks.harness import Figures, Trial

SECONDS = 20.0
UNLOADED_RATE = 4.0


@dataclass(frozen=True)
class HalfLoad:
    """The service, and the highest rate it can be asked."""

    feed: FeedOverHttp
    highest: float

    def loaded(self) -> Figures:
        return {**self._ask(self.highest / 2), "highest_per_s": self.highest}

    def unloaded(self) -> Figures:
        return self._ask(UNLOADED_RATE)

    def _ask(self, rate: float) -> Figures:
        answers = self.feed.offered(rate, SECONDS)
        return {
            "p50_ms": answers.ms(50),
            "p99_ms": answers.ms(99),
            "offered_per_s": rate,
            "full_share": answers.share("full"),
            "errors_5xx": answers.errors_5xx,
        }


@contextmanager
def trial() -> Iterator[Trial]:
    """A Valkey and a ranking service of their own.

    Raises:
        BenchmarkRefusedError: the service does not start.
    """
    with feed_over_http() as feed:
        load = HalfLoad(feed, feed.highest())
        yield Trial("feed-http", load.loaded, load.unloaded, ("p99_ms", "p50_ms"), warmups=0)
