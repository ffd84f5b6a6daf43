"""The relay process between real servers: killed at any moment, it leaves every change on Kafka, in order."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ingestion.admin import create_topics
from ingestion.events import MuteChanged, decode
from ingestion.log import read_records
from ingestion.outbox import message_of
from ingestion.settings import KafkaSettings
from ingestion.topics import RESTRICTIONS
from records import outbox
from records.connections import connect, open_engine
from records.migrate import migrate
from records.relations import Relations
from records.settings import RecordsSettings

pytestmark = [pytest.mark.stack, pytest.mark.postgres]

NAMESPACE, NOW = "killed-relay", 1_900_000_000_000
USERS, TURNS = range(10, 14), 80


def mute_and_unmute(records: RecordsSettings) -> None:
    """Each user mutes and unmutes account 1 by turns, a millisecond apart."""

    async def write() -> None:
        engine = open_engine(records, NAMESPACE)
        relations = Relations(engine, message_of, lambda: str(uuid.uuid4()))
        for turn, user in itertools.product(range(TURNS), USERS):
            await relations.mute(user, 1, NOW + turn, active=turn % 2 == 0)
        await engine.dispose()

    asyncio.run(write())


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what


def left(watcher: psycopg.Connection[Any]) -> int:
    return len(outbox.waiting(watcher, 1_000_000))


def waits_to_forget(watcher: psycopg.Connection[Any]) -> bool:
    """Whether the relay has published messages and is held up where it removes them."""
    held = watcher.execute("SELECT 1 FROM pg_locks WHERE relation = 'outbox'::regclass AND NOT granted")
    return held.fetchone() is not None


def test_a_relay_killed_between_and_amid_its_batches_leaves_every_change_on_kafka_in_order_per_key(
    kafka: KafkaSettings, postgres: str, tmp_path: Path
) -> None:
    records = RecordsSettings(dsn=postgres)
    migrate(records, NAMESPACE)
    create_topics(kafka, NAMESPACE)
    mute_and_unmute(records)
    environment = {
        **os.environ,
        "TIDELINE_HOME": str(tmp_path),
        "TIDELINE_NAMESPACE": NAMESPACE,
        "TIDELINE_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "TIDELINE_RECORDS__DSN": postgres,
    }

    def begin() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ingestion.relay", str(tmp_path / "connected")]
        return subprocess.Popen(command, env=environment)

    relay = begin()
    held_up = 0
    try:
        with connect(records, NAMESPACE) as watcher:
            watcher.autocommit = True
            for amid in (False, True, False, True):
                before = left(watcher)
                until(lambda: left(watcher) < before, "The relay brings messages to the log")  # noqa: B023
                if amid:
                    with connect(records, NAMESPACE) as holding:
                        holding.execute("LOCK TABLE outbox IN SHARE MODE")
                        until(lambda: waits_to_forget(watcher), "The relay removes what it published")
                        relay.kill()
                        relay.wait()
                        held_up += 1
                relay.kill()
                relay.wait()
                assert left(watcher) > 0, "The kill came after all was done"
                relay = begin()
            until(lambda: left(watcher) == 0, "The outbox is empty")
    finally:
        relay.kill()
        relay.wait()

    changes: dict[bytes, list[MuteChanged]] = {}
    for record in read_records(kafka, NAMESPACE, [RESTRICTIONS]):
        event, key = decode(record.value()), record.key()
        assert isinstance(event, MuteChanged)
        assert key is not None
        changes.setdefault(key, []).append(event)
    assert set(changes) == {b"%d:1:mute" % user for user in USERS}
    for events in changes.values():
        # A repeat is of the key's latest change, so the last word on the log is the last that was said.
        assert [event.ts for event in events] == sorted(event.ts for event in events)
        once = {event.event_id: event for event in events}
        assert [(event.ts - NOW, event.active) for event in once.values()] == [
            (turn, turn % 2 == 0) for turn in range(TURNS)
        ]
    written = sum(map(len, changes.values()))
    assert written >= len(USERS) * TURNS + held_up, "What was published and not removed comes again"
