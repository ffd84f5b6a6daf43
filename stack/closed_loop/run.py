"""The closed loop, on one page: days of served pages, nights of training, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from features.examples import TRAINING_EXAMPLES
from features.labels import LABELS
from features.store import offline_folder
from ingestion.datasets.synthetic import Synthetic
from ingestion.lake_files import write_lake
from ingestion.world.generate import Ground, settle, write
from ingestion.world.reading import Log
from pipelines.settings import StreamSettings
from serving.settings import ServingSection, ServingSettings
from stack.closed_loop.night import Night, build, learn
from stack.closed_loop.outcomes import Outcome, labelled
from stack.closed_loop.pages import Arms, SimulatedClock
from stack.closed_loop.plan import ARMS, LoopPlan
from stack.closed_loop.readers import Readership, Session, sessions
from stack.closed_loop.streams import Streams
from timelines.client import open_async_client
from training.settings import TrainingSettings

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Loop:
    """What a loop left: one row per session (see ``outcomes.labelled``), and its nights."""

    plan: LoopPlan
    sessions: pd.DataFrame
    nights: list[Night]


def run(plan: LoopPlan, folder: Path, announce: Announce) -> Loop:
    """Live through the plan's days, in a namespace of its own, with the servers that the settings name.

    Args:
        folder: the world is written there.
        announce: told what is under way.
    """
    announce("making the world")
    ground = settle(plan.world)
    write(ground.world(Log()), folder / "world")
    return asyncio.run(_Days(plan, ground, folder, announce).live())


class _Days:
    def __init__(self, plan: LoopPlan, ground: Ground, folder: Path, announce: Announce) -> None:
        self._plan, self._announce = plan, announce
        self._stream = StreamSettings()
        self._streams = Streams(self._stream)
        world = Synthetic(folder / "world")
        self._streams.add(world.events({world.name: 0}))
        drawn = np.random.SeedSequence([plan.seed, 1]).spawn(2)
        self._sessions = sessions(ground, np.random.default_rng(drawn[0]))
        self._readers = Readership(ground, np.random.default_rng(drawn[1]))
        self._outcomes: list[Outcome] = []

    async def live(self) -> Loop:
        plan, serving = self._plan, _serving()
        redis = open_async_client(serving.redis, timeout_s=30)
        nights: list[Night] = []
        champion: str | None = None
        try:
            arms = Arms(serving, redis, plan, SimulatedClock())
            for day in range(1, plan.days + 1):
                if champion is not None:
                    arms.follow_the_registry()
                today = self._of_day(day)
                for number, session in enumerate(today):
                    by = champion or "no model"
                    self._announce(f"day {day}: {number:,} of {len(today):,} sessions, champion: {by}")
                    await self._serve(day, session, arms, compared=champion is not None)
                self._close(day)
                if day < plan.days:
                    nights.append(learn(day, plan.ends_ms(day), champion, self._announce))
                    champion = nights[-1].champion
        finally:
            await redis.aclose()
            self._streams.close()
        self._announce("labels of the last day")
        build(plan.ends_ms(plan.days))
        return Loop(plan, labelled(self._outcomes, _examples(), LABELS), nights)

    def _of_day(self, day: int) -> list[Session]:
        begins, ends = self._plan.ends_ms(day - 1), self._plan.ends_ms(day)
        return [session for session in self._sessions if begins <= session.ts < ends]

    async def _serve(self, day: int, session: Session, arms: Arms, compared: bool) -> None:
        """One reader opens the feed, reads and answers; what other arms would have shown is kept beside."""
        reader, now, readers = session.reader, session.ts, self._readers
        self._streams.advance(now)
        mine = arms.arm_of(reader)
        others = [arm for arm in ARMS if arm != mine] if compared else []
        shown = {arm: await arms.would_show(arm, session, readers) for arm in others}
        pages = await arms.show(session, readers)
        shown[mine] = [item.tweet for item in pages.read]
        expected = {
            arm: float(readers.chances(reader, now, tweets).p_engaged.sum()) for arm, tweets in shown.items()
        }
        answers = readers.answer(reader, now, pages.read)
        requests = tuple(dict.fromkeys(item.request_id for item in pages.read))
        would = dict.fromkeys(ARMS, expected[mine]) | expected
        self._outcomes.append(
            Outcome(day, reader, mine, len(pages.read), answers.engaged, requests, pages.model, would)
        )
        self._streams.add(arms.log.take())
        self._streams.add(answers.events)

    def _close(self, day: int) -> None:
        """The day's events are in the lake."""
        self._streams.advance(self._plan.ends_ms(day))
        events, self._streams.log = self._streams.log, []
        write_lake(self._stream.lake.path, events, self._stream.namespace, part=f"day-{day}")


def _serving() -> ServingSettings:
    """A page has all the time it needs: nobody waits for it."""
    patient = ServingSection(cursor_key=ServingSettings().serving.cursor_key, deadline_ms=60_000)
    return ServingSettings(serving=patient)


def _examples() -> pd.DataFrame:
    columns = ["request_id", *LABELS.values()]
    return pd.read_parquet(offline_folder(TrainingSettings()) / TRAINING_EXAMPLES, columns=columns)
