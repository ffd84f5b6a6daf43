"""The safety job on the embedded mini cluster: a planted attack is marked as the plain rules say."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from ingestion.datasets.synthetic import Synthetic
from ingestion.events import AnyEvent, encode
from ingestion.topics import Topic, route
from ingestion.world.generate import generate, write
from ingestion.world.plan import WorldPlan
from pipelines.stream.safety_rules import Limits, marks_of, signals_of
from timelines.keys import Keyspace
from timelines.marks import decode_mark
from timelines.settings import RedisSettings, TimelineSettings

pytestmark = [pytest.mark.flink, pytest.mark.valkey]

KEYS = Keyspace("safetytest", RedisSettings().partitions)
PATIENCE_S = 120


def attacked(folder: Path) -> list[AnyEvent]:
    """A small world with an attack; a tenth of it comes twice, and nothing in order."""
    write(generate(WorldPlan(users=150, days=1, attackers=45)), folder)
    events = list(Synthetic(folder).events({"synthetic": 0}))
    dice = random.Random(3)
    events += dice.sample(events, len(events) // 10)
    dice.shuffle(events)
    return events


@pytest.fixture(scope="module")
def job(
    tmp_path_factory: pytest.TempPathFactory, flink_environment: Callable[[], Any], valkey: str
) -> Iterator[tuple[redis.Redis, list[AnyEvent], Any]]:
    from pyflink.table import StreamTableEnvironment

    from pipelines.stream import safety, sql_tables
    from pipelines.stream.safety_queries import USED
    from pipelines.stream.store import StoreAddress

    folder = tmp_path_factory.mktemp("safety")
    events = attacked(folder / "world")
    env = flink_environment()
    t_env = StreamTableEnvironment.create(env)
    lines: dict[Topic, list[bytes]] = {topic: [b"no event"] for topic in safety.INPUTS}
    for event in events:
        if route(event)[0] in lines:
            lines[route(event)[0]].append(encode(event))
    for topic in safety.INPUTS:
        (folder / topic.name).mkdir()
        (folder / topic.name / "log.json").write_bytes(b"\n".join(lines[topic]))
        source = {
            "connector": "filesystem",
            "path": str(folder / topic.name),
            "source.monitor-interval": "1 s",
            **sql_tables.json_format(),
        }
        sql_tables.create_event_table(t_env, topic, source, used=USED)
    address = StoreAddress(RedisSettings(url=valkey), TimelineSettings(), KEYS.namespace)
    safety.build(t_env, address, Limits()).print()
    running = env.execute_async("safety test")
    try:
        yield redis.Redis.from_url(valkey), events, running
    finally:
        running.cancel().result()


def marked(store: redis.Redis) -> set[tuple[str, int]]:
    return {
        (target, int(member))
        for target in ("tweet", "account")
        for member, score in store.zscan_iter(KEYS.marked(target))
        if int(score) % 4
    }


def test_the_job_marks_what_the_plain_rules_mark(job: tuple[redis.Redis, list[AnyEvent], Any]) -> None:
    store, events, running = job
    wanted = marks_of(signals_of(events, Limits()), Limits())
    assert {mark.reason for mark in wanted.values()} >= {"identical_text", "fake_engagement", "follow_churn"}
    until = time.monotonic() + PATIENCE_S
    while not marked(store) >= set(wanted):
        assert time.monotonic() < until, f"not marked: {sorted(set(wanted) - marked(store))[:5]}"
        assert not running.get_job_status().result().is_globally_terminal_state(), "the job ended"
        time.sleep(0.2)
    for (target, target_id), mark in wanted.items():
        stored = decode_mark(store.get(KEYS.key(f"mark_{target}", target_id)))
        assert stored is not None
        assert stored.verdict == mark.verdict
        assert not stored.by_person
    # In whatever order they come, a share of young engagers may have stood in between.
    assert len(marked(store) - set(wanted)) <= 0.05 * len(wanted)
