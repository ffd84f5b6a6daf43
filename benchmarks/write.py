"""Posting tweets and reading each at once, at half of the highest rate.

``POST /v1/tweets``, and upon its acknowledgement ``GET /v1/tweets/{id}`` by the author: first the highest
rate at which both are answered in time, then half of it, evenly paced. The time of a post counts from when it
was due, that of a read from the acknowledgement. One worker of the API on one core; Kafka, Valkey and the
client share the other. ``unreadable`` are acknowledged tweets that their author was not shown at once.
``ratio`` is the loaded p99 of a post to its unloaded p50.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.load import get, post
from benchmarks.open_loop import Answers, Timed, highest_rate, offer, pinned, two_cores
from benchmarks.service import HOST, running_app
from benchmarks.stack import running_stack
from ingestion.tokens import mint

AUTHORS = 1000
POST_MS, READ_MS = 200.0, 100.0
FIRST_RATE, STEP_SECONDS, SECONDS = 20.0, 4.0, 20.0
UNLOADED_RATE = 5.0
TEXT = "The ferry was late again, and nobody minded: the harbour is worth the wait. #ferry #harbour"


@dataclass
class Writes:
    """A running API, and a token of each author; they post in turn, which stays below what one may post."""

    port: int
    tokens: Sequence[str]
    turns: Iterator[int] = field(default_factory=itertools.count)

    def offered(self, rate: float, seconds: float) -> Answers:
        """Posts, each followed by its author's read."""
        tokens = [self._token() for _ in range(max(int(rate * seconds), 1))]
        body = json.dumps({"text": TEXT}).encode()
        posts = [post("/v1/tweets", HOST, token, body) for token in tokens]

        def read(number: int, posted: Timed) -> bytes | None:
            tweet = tweet_of(posted, 201)
            return None if tweet is None else get(f"/v1/tweets/{tweet}", HOST, tokens[number])

        return asyncio.run(offer(HOST, self.port, posts, rate, following=read))

    def highest(self) -> float:
        """The highest rate at which p99 is what it may be.

        Raises:
            BenchmarkRefusedError: not even the first rate is answered so.
        """
        self.offered(UNLOADED_RATE, STEP_SECONDS)  # the first requests open the API's connections
        rate = highest_rate(self._sustained, FIRST_RATE)
        if not rate:
            raise BenchmarkRefusedError(f"The API does not take {FIRST_RATE:.0f} tweets a second in time.")
        return rate

    def _sustained(self, rate: float) -> bool:
        answers = self.offered(rate, STEP_SECONDS)
        if len(answers.followed) < len(answers.timed):  # some were refused
            return False
        return answers.ms(99) <= POST_MS and Answers(answers.followed).ms(99) <= READ_MS

    def _token(self) -> str:
        return self.tokens[next(self.turns) % len(self.tokens)]


@dataclass(frozen=True)
class HalfLoad:
    """The API, and the highest rate it can be asked."""

    writes: Writes
    highest: float

    def loaded(self) -> Figures:
        return {**self._ask(self.highest / 2), "highest_per_s": self.highest}

    def unloaded(self) -> Figures:
        return self._ask(UNLOADED_RATE)

    def _ask(self, rate: float) -> Figures:
        answers = self.writes.offered(rate, SECONDS)
        reads = Answers(answers.followed)
        return {
            "post_p50_ms": answers.ms(50),
            "post_p99_ms": answers.ms(99),
            "read_p50_ms": reads.ms(50),
            "read_p99_ms": reads.ms(99),
            "offered_per_s": rate,
            "unreadable": unreadable(answers),
            "refused": answers.refused,
            "errors_5xx": answers.errors_5xx + reads.errors_5xx,
        }


def tweet_of(answer: Timed, status: int) -> str | None:
    """The id of the tweet in an answer of this status; None in any other."""
    return str(json.loads(answer.body)["id"]) if answer.status == status else None


def unreadable(answers: Answers) -> int:
    """How many posts were acknowledged and yet not shown to their author upon it."""
    posted = (tweet_of(answer, 201) for answer in answers.timed)
    acknowledged = [tweet for tweet in posted if tweet is not None]
    shown = {tweet_of(answer, 200) for answer in answers.followed}
    return sum(tweet not in shown for tweet in acknowledged)


@contextmanager
def trial() -> Iterator[Trial]:
    """Kafka, Valkey and an API of their own.

    Raises:
        BenchmarkRefusedError: the API does not start, or is too slow for the first rate.
    """
    service_core, other_core = two_cores()
    with (
        TemporaryDirectory(prefix="tideline-bench-") as folder,
        pinned(other_core),
        running_stack(("kafka", "valkey"), ()),
    ):
        from stack.settings import StackSettings

        security, now = StackSettings().security, int(time.time())
        tokens = [mint(security, 1 + author, now) for author in range(AUTHORS)]
        app, log = "stack.asgi:create_app", Path(folder) / "api.log"
        with running_app(app, {"OMP_NUM_THREADS": "1"}, log, service_core) as (port, _):
            writes = Writes(port, tokens)
            load = HalfLoad(writes, writes.highest())
            pair = ("post_p99_ms", "post_p50_ms")
            yield Trial("write", load.loaded, load.unloaded, pair, warmups=0)
