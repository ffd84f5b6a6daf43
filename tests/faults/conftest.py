"""A small town on a real stack: events go in, something breaks, and every feed has to be right again."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka import KafkaException

from ingestion.events import Event, FollowChanged, RetweetChanged, TweetCreated, TweetDeleted
from ingestion.publisher import KafkaPublisher, LogUnavailableError
from ingestion.settings import KafkaSettings
from ingestion.snowflake import snowflake
from ingestion.tokens import mint
from stack import lifecycle
from stack.bring_up import bring_up
from stack.errors import UserError
from stack.jobs import JobControl, stream_jobs
from stack.lag import lag_of
from stack.plan import Plan
from stack.projections.ledger import Ledger
from stack.readiness import get_json
from stack.settings import Ports, StackSection, StackSettings
from stack.verify.feeds import FeedReadError
from stack.verify.verify import Verdict, VerifySettings, fold_log, verify
from stack.waiting_entries import entries_waiting
from stack.wanted import WantedJob
from timelines.keys import Keyspace
from timelines.settings import Projections, RedisSettings

NAMESPACE = "town"
JOBS = ("timelines", "content")
PEOPLE = 60
ROUND = 1500
SETTINGS = {
    "TIDELINE_TIMELINES__LENGTH": "200",
    "TIDELINE_TIMELINES__SLACK": "60",
    "TIDELINE_FLINK__CHECKPOINT_MS": "1000",
}
PUSH_BELOW, PULL_ABOVE = 15, 25
PATIENCE = 180.0
REPORT = "faults.json"


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """What the condition answers once it holds; a server that does not answer yet is waited for."""
    deadline = time.monotonic() + patience
    while True:
        try:
            answer = condition()
        except (UserError, OSError, KafkaException, redis.RedisError, LogUnavailableError):
            answer = None
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"After {patience:.0f} s still not: {what}.")
        time.sleep(0.1)


class Traffic:
    """Seeded history: follows and unfollows, tweets, retweets, some taken back, some deleted."""

    def __init__(self, seed: int, start_ms: int) -> None:
        self._chance = random.Random(seed)
        self._now = start_ms
        self._number = 0
        self._tweets: list[tuple[int, int]] = []
        self._retweets: list[RetweetChanged] = []

    def round(self, events: int = ROUND, late_ms: int = 0) -> list[Event]:
        """The next events; ``late_ms``: they happened that much earlier than they are sent."""
        return [self._next(late_ms) for _ in range(events)]

    def _next(self, late_ms: int) -> Event:
        self._now += 1 + self._chance.randrange(3)
        self._number += 1
        ts, name, draw = self._now - late_ms, f"e{self._number}", self._chance.random()
        user = self._person()
        if draw < 0.3:
            active = self._chance.random() > 0.15
            followee = 1 + int(PEOPLE * self._chance.random() ** 2.5)
            return FollowChanged(event_id=name, ts=ts, follower_id=user, followee_id=followee, active=active)
        if draw < 0.75 or not self._tweets:
            tweet = snowflake(ts)
            self._tweets.append((tweet, user))
            return TweetCreated(event_id=name, ts=ts, tweet_id=tweet, author_id=user, text=f"word {tweet}")
        tweet, author = self._chance.choice(self._tweets)
        if draw < 0.93:
            retweet = RetweetChanged(
                event_id=name,
                ts=ts,
                retweet_id=snowflake(ts),
                user_id=user,
                tweet_id=tweet,
                author_id=author,
                active=True,
            )
            self._retweets.append(retweet)
            return retweet
        if draw < 0.97 and self._retweets:
            made = self._chance.choice(self._retweets)
            return RetweetChanged(
                event_id=name,
                ts=ts,
                retweet_id=made.retweet_id,
                user_id=made.user_id,
                tweet_id=made.tweet_id,
                author_id=made.author_id,
                active=False,
            )
        return TweetDeleted(event_id=name, ts=ts, tweet_id=tweet, author_id=author)

    def _person(self) -> int:
        return self._chance.randint(1, PEOPLE)


@dataclass
class Episode:
    """What one test saw, in seconds: ``jobs_back_s`` from the fault until all jobs run again, ``caught_up_s``
    from the end of the fault (or of the writing, if later) until everything was written."""

    fault: str
    events: int = 0
    jobs_back_s: float | None = None
    caught_up_s: float | None = None
    verdict: dict[str, Any] = field(default_factory=dict)


class Town:
    """The stack under test."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.control = JobControl(plan)
        self.kafka = KafkaSettings(bootstrap=f"127.0.0.1:{plan.ports['kafka']}")
        self.traffic = Traffic(seed=11, start_ms=int(time.time() * 1000) - 7_200_000)
        self.publisher = KafkaPublisher(self.kafka, NAMESPACE, patience_s=120, delivery_s=120)
        self.store = redis.Redis(host="127.0.0.1", port=plan.ports["valkey"])
        self.namespace, self.jobs = NAMESPACE, JOBS
        self.episodes: list[Episode] = []

    @property
    def projections(self) -> Projections:
        """Those that are served."""
        return Ledger(self.plan.layout).of(NAMESPACE).projections

    @property
    def keys(self) -> Keyspace:
        return Keyspace(NAMESPACE, RedisSettings().partitions, self.projections)

    def stream_jobs(self, names: Sequence[str] = JOBS) -> list[WantedJob]:
        """The jobs that write what is served."""
        return stream_jobs(NAMESPACE, names, self.projections)

    def publish(self, events: Sequence[Event]) -> None:
        """Every event acknowledged, in the order given."""
        futures = [self.publisher.publish(event) for event in events]
        self.publisher.flush(150)
        for future in futures:
            future.result(timeout=0)

    def pid(self, server: str) -> int:
        state = lifecycle.running(self.plan.layout)
        assert state is not None
        found = next(each.process for each in state.servers if each.name == server)
        assert found is not None
        return found.pid

    def kill(self, server: str) -> None:
        os.kill(self.pid(server), signal.SIGKILL)

    def ready(self) -> bool:
        state = lifecycle.running(self.plan.layout)
        return state is not None and state.ready

    def job_ids(self) -> dict[str, str]:
        """Those of the jobs that run with all their tasks."""
        return {
            job.title: job.job_id
            for job in self.control.active().values()
            if job.state == "RUNNING" and self._all_tasks_run(job.job_id)
        }

    def all_jobs_run(self) -> bool:
        return len(self.job_ids()) == len(JOBS)

    def checkpoints(self, kind: str = "completed") -> dict[str, int]:
        rest = self.plan.address("flink")
        return {
            title: get_json(f"{rest}/jobs/{job}/checkpoints", timeout=10)["counts"][kind]
            for title, job in self.job_ids().items()
        }

    def restarts(self) -> int:
        """How often the jobs were given back a checkpoint."""
        return sum(self.checkpoints("restored").values())

    def lag(self) -> int:
        return lag_of(self.kafka, {job.title: job.topics for job in self.stream_jobs()}).total

    def settle(self) -> None:
        """No lag, nothing throttled, and a checkpoint more, which passes behind everything that was read."""
        until(lambda: self.all_jobs_run() and self.lag() == 0, "the jobs have read the whole log")
        self._await_checkpoints()
        rest, (timelines,) = self.plan.address("flink"), self.stream_jobs(["timelines"])
        title = timelines.title
        until(lambda: self.all_jobs_run() and entries_waiting(rest, title) == 0, "nothing throttled waits")
        self._await_checkpoints()

    def _await_checkpoints(self) -> None:
        before = until(lambda: self.all_jobs_run() and self.checkpoints(), "the jobs run")

        def passed() -> bool:
            now = self.checkpoints()
            return len(now) == len(JOBS) and all(now[job] > before.get(job, 0) for job in now)

        until(passed, "another checkpoint")

    def verdict(self) -> Verdict:
        """What `tideline verify` finds."""
        settings = VerifySettings()
        fold = fold_log(settings, lambda step, done, total: None)

        def token_of(user: int) -> str:
            return mint(settings.security, user, int(time.time()), audit=True)

        found, _ = asyncio.run(verify(settings, fold, None, token_of, 8, lambda step, done, total: None))
        return found

    def episode(
        self,
        fault: str,
        injure: Callable[[], None] = lambda: None,
        heal: Callable[[], None] = lambda: None,
        back: Callable[[], bool] = lambda: True,
        late_ms: int = 0,
    ) -> Episode:
        """A round of events with a fault in its middle; every feed must be what the log means after it.

        Half of the events are acknowledged, something breaks, the other half is written, ``heal`` ends what
        does not end by itself. ``back``: what shows that the fault was felt and is over, beside servers that
        answer and jobs that run.
        """
        events = self.traffic.round(late_ms=late_ms)
        self.publish(events[: len(events) // 2])
        injure()
        broken = time.monotonic()
        self.publish(events[len(events) // 2 :])
        heal()
        healed = time.monotonic()
        until(lambda: self.ready() and self.all_jobs_run() and back(), "all servers and jobs run")
        back = time.monotonic()
        self.settle()
        return self.record(
            Episode(fault, len(events), round(back - broken, 1), round(time.monotonic() - healed, 1))
        )

    def record(self, episode: Episode) -> Episode:
        """Compare every feed with the log and keep the figures; the episode fails unless they agree."""
        verdict = until(self._verdict_or_nothing, "the API answers")
        episode.verdict = verdict.as_json()
        self.episodes.append(episode)
        report = self.plan.layout.home / REPORT
        report.write_text(json.dumps([asdict(each) for each in self.episodes], indent=1))
        assert verdict.holds, f"After {episode.fault}: {verdict}"
        assert verdict.entries > 0
        return episode

    def _verdict_or_nothing(self) -> Verdict | None:
        try:
            return self.verdict()
        except FeedReadError:
            return None

    def _all_tasks_run(self, job_id: str) -> bool:
        vertices = get_json(f"{self.plan.address('flink')}/jobs/{job_id}", timeout=10)["vertices"]
        # A source of fixed rows is finished once it has handed them on.
        return all(vertex["status"] in ("RUNNING", "FINISHED") for vertex in vertices)


_finished: list[Town] = []


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """``until``, for the tests."""
    return until


@pytest.fixture(scope="package")
def town() -> Iterator[Town]:
    """Kafka, Valkey, Flink and the API with the jobs that make feeds, and a first round of events read."""
    folder = tempfile.mkdtemp(prefix="tideline-faults-")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"TIDELINE_HOME": folder, **SETTINGS}.items():
            patch.setenv(name, value)
        section = StackSection(
            ports=Ports(kafka=0, valkey=0, postgres=0, flink=0, api=0), slots=4, api_workers=1
        )
        settings = StackSettings(home=Path(folder), stack=section)
        servers = ("kafka", "valkey", "postgres", "flink", "api")
        try:
            plan = bring_up(
                settings, NAMESPACE, servers, (), False, lambda line: None, PUSH_BELOW, PULL_ABOVE
            )
            made = Town(plan)
            made.control.submit(stream_jobs(NAMESPACE, JOBS))
            until(lambda: len(done := made.checkpoints()) == len(JOBS) and all(done.values()), "checkpoints")
            _finished.append(made)
            made.episode("nothing (control)")
            yield made
            made.publisher.close()
        finally:
            lifecycle.stop(lifecycle.layout_of(settings), 10)
            shutil.rmtree(folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How long each recovery took, beside the round without a fault."""
    for town in _finished:
        terminalreporter.section("faults: seconds until the jobs ran again, and until all was written")
        for each in town.episodes:
            wrong = sum(each.verdict[name] for name in ("missing", "extra", "duplicates"))
            figures = (
                f"{each.jobs_back_s!s:>7} {each.caught_up_s!s:>7} {wrong:>5} of {each.verdict['entries']:,}"
            )
            terminalreporter.line(f"{each.fault:<44} {figures} entries wrong")
