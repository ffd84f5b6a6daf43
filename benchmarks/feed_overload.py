"""Three times the highest rate of the full rung for a minute, then half of it, until all answers are full.

``recovery_s``: how long after the overload answers were still not full. ``TIDELINE_BENCH_SECONDS`` makes the
overload shorter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.feed_load import FeedOverHttp, feed_over_http
from benchmarks.harness import Figures, Trial

RUNGS = ("full", "reduced", "light", "chronological", "records")
AFTER_SECONDS = 15.0


@dataclass(frozen=True)
class Overload:
    """The service, and the highest rate at which it ranks in full."""

    feed: FeedOverHttp
    highest: float
    seconds: float

    def run(self) -> Figures:
        answers = self.feed.offered(3 * self.highest, self.seconds)
        after = self.feed.offered(self.highest / 2, AFTER_SECONDS)
        return {
            "p50_ms": answers.ms(50),
            "p99_ms": answers.ms(99),
            "offered_per_s": 3 * self.highest,
            "highest_per_s": self.highest,
            **{f"{rung}_share": answers.share(rung) for rung in RUNGS},
            "recovery_s": max((answer.ended for answer in after.timed if answer.rung != "full"), default=0.0),
            "refused": answers.refused,
            "errors_5xx": answers.errors_5xx + after.errors_5xx,
        }


@contextmanager
def trial() -> Iterator[Trial]:
    """A Valkey and a ranking service of their own.

    Raises:
        BenchmarkRefusedError: the service does not start.
    """
    seconds = float(os.environ.get("TIDELINE_BENCH_SECONDS", "60"))
    with feed_over_http() as feed:
        load = Overload(feed, feed.highest(), seconds)
        yield Trial("feed-overload", load.run, warmups=0)
