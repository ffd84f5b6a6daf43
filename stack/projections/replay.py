"""Builds projections anew beside those that are read, compares the two, and has the new ones read.

The ledger is written before each step that leaves something behind: whatever dies, what is served stays
served, and the next run takes away what lies beside it.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError
from rich.console import Console

from ingestion.admin import delete_topics
from ingestion.publisher import LogUnavailableError
from ingestion.topics import EVENT_TOPICS
from pipelines.jobs import job_title, owner
from pipelines.settings import StreamSettings
from stack import catching_up, lifecycle
from stack.addresses import Choices
from stack.errors import UserError
from stack.jobs import JobControl, stream_jobs
from stack.locks import exclusive
from stack.plan import Plan
from stack.projections.backfill import backfill
from stack.projections.feeds import require_right_feeds
from stack.projections.keys_of import KindComparison, compare, unlink
from stack.projections.ledger import Ledger
from stack.projections.second_api import second_api
from stack.readiness import get_json
from stack.verify.verify import Verdict
from timelines.client import open_client
from timelines.keys import Keyspace
from timelines.settings import Projections

IN_FEEDS = frozenset({"timelines", "content"})


@dataclass(frozen=True)
class Wish:
    """What to build: the projections of ``jobs``, from ``from_ms`` (UTC; None for the beginning).

    ``viewers`` bounds how many feeds are compared, ``unlink_per_second`` how fast old keys go.
    """

    jobs: tuple[str, ...]
    from_ms: int | None
    viewers: int | None
    unlink_per_second: float


@dataclass(frozen=True)
class Outcome:
    """``from_lake``: events by topic that the log had deleted. ``feeds`` is None where none depend on it."""

    projection: str
    jobs: tuple[str, ...]
    from_lake: dict[str, int]
    kinds: list[KindComparison]
    feeds: Verdict | None
    unlinked: int
    seconds: float


class ProjectionReplay:
    """One namespace of a running stack."""

    def __init__(self, plan: Plan, choices: Choices, settings: StreamSettings, console: Console) -> None:
        """``choices`` are those that the stack runs with."""
        self._plan = plan
        self._choices = choices
        self._settings = settings
        self._namespace = choices.namespace
        self._console = console
        self._control = JobControl(plan)
        self._ledger = Ledger(plan.layout)

    def run(self, wish: Wish) -> Outcome:
        """Build, compare, swap, and take away what was replaced.

        Raises:
            UserError: a step failed; what was served is still served.
        """
        started = time.monotonic()
        with exclusive(self._plan.layout.run / "projections.lock"), self._store() as store:
            before = self._ledger.of(self._namespace)
            # A run may have died between its word in the ledger and the API's restart.
            self._serve(before.projections)
            self._take_away(store, wish.unlink_per_second)
            self._require_slots(len(wish.jobs))
            name = f"{owner(self._namespace)}.{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
            try:
                from_lake, kinds, feeds = self._build(store, name, wish)
            except BaseException:
                with contextlib.suppress(UserError, LogUnavailableError, RedisError, OSError):
                    self._take_away(store, wish.unlink_per_second)
                raise
            standing = self._ledger.of(self._namespace).swapped(name, wish.jobs)
            self._ledger.keep(self._namespace, standing)
            self._console.print(f"  {name} is read from now on")
            self._serve(standing.projections)
            unlinked = self._take_away(store, wish.unlink_per_second)
        seconds = round(time.monotonic() - started, 1)
        return Outcome(name, wish.jobs, from_lake, kinds, feeds, unlinked, seconds)

    def _build(
        self, store: Any, name: str, wish: Wish
    ) -> tuple[dict[str, int], list[KindComparison], Verdict | None]:
        """Beside what is served: fill, start, catch up, compare."""
        served = self._ledger.of(self._namespace)
        new = served.projections.model_copy(update=dict.fromkeys(wish.jobs, name))
        self._ledger.keep(self._namespace, served.building(name, wish.jobs))
        from_lake = backfill(self._settings, name, wish.jobs, wish.from_ms, self._told)
        for topic, events in from_lake.items():
            self._console.print(f"  {topic}: {events:,} events from the lake, older than the log")
        jobs = stream_jobs(self._namespace, wish.jobs, new)
        for title in self._control.start_over(jobs, self._settings.kafka, wish.from_ms):
            self._console.print(f"  {title} builds")
        seconds = catching_up.wait(self._settings, jobs, self._console)
        self._console.print(f"  caught up with the log after {seconds} s")
        feeds = None
        if IN_FEEDS & set(wish.jobs):
            from_ms = wish.from_ms if "timelines" in wish.jobs else None
            with second_api(self._plan, self._namespace, new) as url:
                feeds = require_right_feeds(url, self._namespace, new, from_ms, wish.viewers)
            self._console.print(f"  {feeds.viewers:,} feeds are what the log means")
        kinds = compare(store, self._keys(served.projections), self._keys(new), wish.jobs)
        return from_lake, kinds, feeds

    def _serve(self, projections: Projections) -> None:
        """Have every process read these projections: the API starts again, where that is a change."""
        choices = Choices(
            self._namespace,
            self._choices.dev_login,
            self._choices.push_below,
            self._choices.pull_above,
            projections,
        )
        lifecycle.reload(self._plan, choices, lambda state: None)

    def _take_away(self, store: Any, per_second: float) -> int:
        """Jobs, keys and topics of what is not served; how many keys there were."""
        unlinked = 0
        for job, name in self._ledger.of(self._namespace).left:
            self._control.forget([job_title(job, self._namespace, name)])
            unlinked += unlink(store, self._keys(Projections(**{job: name})), job, per_second)
            standing = self._ledger.of(self._namespace).taken_away(job, name)
            if name and name not in standing.names():
                delete_topics(self._settings.kafka, name, EVENT_TOPICS)
            self._ledger.keep(self._namespace, standing)
        return unlinked

    def _require_slots(self, jobs: int) -> None:
        wanted = jobs * self._settings.flink.parallelism
        free = get_json(f"{self._plan.address('flink')}/overview", timeout=10)["slots-available"]
        if free < wanted:
            raise UserError(
                f"{wanted} slots are needed beside the running jobs and {free} are free: name fewer jobs, or "
                "raise TIDELINE_STACK__SLOTS and start the stack again."
            )

    def _keys(self, projections: Projections) -> Keyspace:
        return Keyspace(self._namespace, self._settings.redis.partitions, projections)

    def _store(self) -> Any:
        client = open_client(self._settings.redis, timeout_s=30, connect_timeout_s=5, retries=3)
        return contextlib.closing(client)

    def _told(self, topic: str, events: int) -> None:
        if events % 100_000 == 0:
            self._console.print(f"  {topic}: {events:,} events from the lake so far")
