"""A small world in a lake, in which a planted experiment runs: what notebooks on the lake are executed on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq

from ingestion.datasets.synthetic import Synthetic
from ingestion.events import ClientReport, Event, Impression, LikeChanged
from ingestion.lake import event_folder
from ingestion.lake_compaction import compact
from ingestion.lake_files import write_lake
from ingestion.world.generate import generate, write
from ingestion.world.plan import WorldPlan
from serving.experiments.experiment import Experiment, load_experiment

TRIAL = """\
format = 1
name = "trial"
salt = "s"
[[arms]]
name = "control"
weight = 0.5
[[arms]]
name = "new"
weight = 0.5
model = "challenger"
"""
PLAN = WorldPlan(users=200, days=3, sessions_per_day=1.0)


@dataclass(frozen=True)
class TrialWorld:
    """``home``/lake with so many ``events``, and ``home``/trial.toml."""

    home: Path
    events: int


def make(home: Path) -> TrialWorld:
    """A lake and an experiment in it: readers of the arm ``new`` like and hide more, and wait longer.

    The impressions of the first day came in two files, and have been compacted.
    """
    trial = home / "trial.toml"
    trial.write_text(TRIAL)
    write(generate(PLAN), home / "world")
    recorded = Synthetic(home / "world").events({Synthetic.name: 0})
    events = list(_with_trial(recorded, load_experiment(trial)))
    lake = write_lake(home / "lake", events)
    first, second, *_ = sorted(event_folder(lake, "", Impression).glob("day=*"))
    rows = pq.ParquetFile(first / "part-0.parquet").read()
    pq.write_table(rows.slice(0, 100), first / "part-0.parquet")
    pq.write_table(rows.slice(100), first / "part-1.parquet")
    before = date.fromisoformat(second.name.partition("=")[2])
    assert len(list(compact(lake, "", before, timedelta(days=1), datetime.now(UTC)))) == 1
    return TrialWorld(home, len(events))


def _with_trial(events: Iterator[Event], trial: Experiment) -> Iterator[Event]:
    rng = np.random.default_rng(3)
    for event in events:
        if not isinstance(event, Impression):
            yield event
            continue
        arm = trial.arm_of(event.user_id).name
        new = arm == "new"
        # One page, one latency.
        latency = 20 + (event.ts + event.user_id) % 97 * (3 if new else 1)
        yield msgspec.structs.replace(event, arm=f"trial:{arm}", latency_ms=float(latency))
        own = {"user_id": event.user_id, "tweet_id": event.tweet_id}
        if new and rng.random() < 0.15:
            yield LikeChanged(
                event_id=f"like:{event.event_id}",
                ts=event.ts + 60_000,
                author_id=event.author_id,
                active=True,
                **own,
            )
        for action, share in (("open", 0.1), ("hide", 0.05 if new else 0.005)):
            if rng.random() < share:
                yield ClientReport(
                    event_id=f"{action}:{event.event_id}",
                    ts=event.ts + 60_000,
                    feed_request_id=event.request_id,
                    position=event.position,
                    action=action,  # type: ignore[arg-type]
                    **own,
                )
