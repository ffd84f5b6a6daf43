"""The pages that readers get: the serving pipeline in this process, on a clock that is told the time."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from ingestion.events import Event
from ingestion.publisher import LogUnavailableError
from serving.experiments.assignment import Assignment, Treatment, arm_label
from serving.experiments.experiment import Arm, Experiment
from serving.feed.feed import Clock, Feed, Request
from serving.feed.policy import Exploration, Policy, default_policy
from serving.feed.side_effects import Impressions
from serving.metrics import ServingMetrics
from serving.model_store import MlflowRegistry, ModelStore
from serving.service import build_feed
from serving.settings import ServingSettings
from stack.closed_loop.plan import ARMS, CHAMPION, CHRONOLOGICAL, FIRST, LoopPlan
from stack.closed_loop.readers import Readership, Session, Shown
from timelines.lately import note_seen

FIRST_MODEL = "first-model"
"""The alias of the first model that was promoted; it never moves."""
EXPERIMENT = "closed-loop"
MOST_PAGES = 3


@dataclass
class SimulatedClock:
    """The time of day as it was last told; requests are numbered."""

    now_ms: int = 0
    requests: int = 0

    def request_id(self) -> str:
        self.requests += 1
        return hashlib.sha256(str(self.requests).encode()).hexdigest()[:32]

    @property
    def of_serving(self) -> Clock:
        """Nothing takes any time, so that a slow machine ranks no less."""
        return Clock(lambda: self.now_ms, self.request_id, lambda: self.now_ms / 1000)


@dataclass
class Collected:
    """A log that keeps what it is handed until it is taken."""

    events: list[Event] = field(default_factory=list)

    def hand_over(self, event: Event, delivered: Callable[[Exception | None], None]) -> None:
        self.events.append(event)
        delivered(None)

    def take(self) -> list[Event]:
        events, self.events = self.events, []
        return events


@dataclass(frozen=True)
class Pages:
    """What one session showed: the tweets that the reader reads, by position, and who ranked them."""

    read: tuple[Shown, ...]
    rung: str
    model: str | None


class Arms:
    """The feed of an experiment over all readers; any page can also be had as another arm would make it."""

    def __init__(self, settings: ServingSettings, redis: Any, plan: LoopPlan, clock: SimulatedClock) -> None:
        folder = settings.home / "serving" / "model"
        self.log = Collected()
        self._clock, self._page, self._redis = clock, plan.page, redis
        self._champion = ModelStore(MlflowRegistry(settings.mlflow), folder, poll_seconds=1.0)
        self._first = ModelStore.of_aliases([FIRST_MODEL], settings.mlflow, folder, poll_seconds=1.0)
        feed = build_feed(
            settings,
            redis,
            self._champion,
            Impressions(self.log, _nothing, _nothing, (LogUnavailableError,)),
            clock.of_serving,
            ServingMetrics(),
            challengers=self._first,
        )
        policy = exploring(plan.exploration)
        experiment = experiment_of(plan.seed)
        treatments = {
            arm.name: Treatment(policy, arm_label(experiment, arm.name), arm.model) for arm in experiment.arms
        }
        self.assignment = Assignment(experiment, treatments)
        self._feed = dataclasses.replace(feed, assignment=self.assignment, policy=policy)
        self._as_arm = {
            arm: dataclasses.replace(
                feed, assignment=Assignment(experiment, dict.fromkeys(ARMS, treatments[arm])), policy=policy
            )
            for arm in ARMS
        }

    def follow_the_registry(self) -> None:
        """Take the models that the aliases point at now."""
        for models in (self._champion, *self._first.values()):
            models.refresh()

    def arm_of(self, reader: int) -> str:
        return self.assignment.experiment.arm_of(reader).name

    async def would_show(self, arm: str, session: Session, readers: Readership) -> list[int]:
        """What the reader would read in another arm; it leaves no trace."""
        pages = await self._scroll(self._as_arm[arm], arm, session, readers, audit=True)
        return [item.tweet for item in pages.read]

    async def show(self, session: Session, readers: Readership) -> Pages:
        """What the reader reads; it is logged, and noted as seen."""
        pages = await self._scroll(self._feed, self.arm_of(session.reader), session, readers, audit=False)
        seen = np.array(sorted(item.tweet for item in pages.read), dtype=np.int64)
        pipe = self._redis.pipeline(transaction=False)
        note_seen(pipe, self._feed.stores.keys, session.reader, seen, session.ts)
        await pipe.execute()
        return pages

    async def _scroll(
        self, feed: Feed, arm: str, session: Session, readers: Readership, audit: bool
    ) -> Pages:
        """Pages until so many unread tweets are there as the reader reads in one session."""
        self._clock.now_ms = session.ts
        read: list[Shown] = []
        cursor, rung, model = None, "", None
        for _ in range(MOST_PAGES):
            algorithm = "chronological" if arm == CHRONOLOGICAL else "ranked"
            limit = self._page - len(read)
            request = Request(session.reader, algorithm, limit, cursor, audit)  # type: ignore[arg-type]
            answer, _ = await feed.page(request)
            await feed.runner.drain()
            if not rung:
                rung, model = answer.rung, answer.model
            tweets = answer.items.original.tolist()
            taken = {item.tweet for item in read}
            for place in readers.unread(session.reader, tweets):
                if tweets[place] not in taken:
                    read.append(Shown(tweets[place], answer.request_id, answer.first_position + place))
            cursor = answer.next_cursor
            if len(read) >= self._page or cursor is None:
                break
        return Pages(tuple(read), rung, model)


def experiment_of(seed: int) -> Experiment:
    """The arms with the same share of the readers each; another seed draws the readers anew."""
    share = 1 / len(ARMS)
    arms = (Arm(CHRONOLOGICAL, share), Arm(FIRST, share, model=FIRST_MODEL), Arm(CHAMPION, share))
    return Experiment(format=1, name=EXPERIMENT, salt=f"seed {seed}", arms=arms)


def exploring(share: float) -> Policy:
    """The policy that comes with the package, but for its share of explored pages."""
    policy = default_policy()
    return msgspec.structs.replace(
        policy,
        version=f"{policy.version}-{EXPERIMENT}",
        exploration=Exploration(share, policy.exploration.depth),
    )


def _nothing() -> None:
    pass
