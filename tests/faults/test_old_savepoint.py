"""A savepoint of an earlier build: the job of this build starts from it and knows what it knew."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from old_history import AUTHOR, FOLLOWERS, NAMESPACE, NEWCOMER, TWEETS, follow, history, tweet

from ingestion.admin import create_topics
from ingestion.publisher import KafkaPublisher
from stack.jobs import stream_jobs
from timelines import commands
from timelines.home import HomeReader
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

pytestmark = [pytest.mark.faults, pytest.mark.stack, pytest.mark.timeout(600)]
SAVEPOINT = Path(__file__).parents[1] / "fixtures" / "savepoint_v1"
NEW = TWEETS[-1] + 1


@pytest.fixture
def restored(town: Any, tmp_path: Path) -> Any:
    """The job of the old namespace, started from the savepoint, whose offsets lie behind the same events."""
    if not SAVEPOINT.exists():
        pytest.skip("There is no savepoint yet: tests/fixtures/take_savepoint.py takes it.")
    create_topics(town.kafka, NAMESPACE)
    publisher = KafkaPublisher(town.kafka, NAMESPACE)
    for event in history():
        publisher.publish(event)
    publisher.flush()
    (job,) = stream_jobs(NAMESPACE, ["timelines"])
    savepoint = shutil.copytree(SAVEPOINT, tmp_path / "savepoint")
    town.control.restore(job, savepoint)
    with town.store.pipeline(transaction=False) as pipe:  # the store is empty
        commands.note_beginning(pipe, Keyspace(NAMESPACE, RedisSettings().partitions))
        pipe.execute()
    yield publisher
    publisher.close()
    town.control.cancel([job.title])


def test_a_job_of_this_build_knows_the_edges_and_entries_of_an_old_savepoint(
    town: Any, restored: Any, eventually: Callable[..., Any]
) -> None:
    keys = Keyspace(NAMESPACE, RedisSettings().partitions)
    restored.publish(tweet(NEW))
    restored.publish(follow(NEWCOMER))
    restored.flush()
    homes = [keys.home(follower) for follower in FOLLOWERS]
    eventually(lambda: town.store.exists(*homes) == len(homes), "the new tweet reaches all old followers")

    def feed() -> list[int]:
        async def read() -> list[int]:
            async with redis.asyncio.Redis(host="127.0.0.1", port=town.plan.ports["valkey"]) as client:
                home = await HomeReader(client, keys, TimelineSettings()).read(NEWCOMER)
            appearances: list[int] = home.entries["appearance"].tolist()
            return appearances

        return asyncio.run(read())

    eventually(lambda: feed() == sorted([*TWEETS, NEW], reverse=True), "the newcomer gets the old tweets")
    # The log was not read again: nobody but the author's followers of the state was met.
    assert town.store.exists(keys.outbox(AUTHOR)) == 1
    assert town.store.zcard(keys.followees(FOLLOWERS[0])) == 0
