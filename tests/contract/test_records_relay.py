"""The relay on a real PostgreSQL: every message reaches the log, in order per key, whatever dies."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ingestion.events import Event, FollowChanged, decode
from ingestion.outbox import message_of
from ingestion.publisher import LogUnavailableError, MemoryPublisher
from ingestion.relay import relay_batch, serve, waves
from records import outbox
from records.connections import connect, open_engine
from records.outbox import Waiting
from records.relations import Relations
from records.settings import RecordsSettings

pytestmark = pytest.mark.postgres

NOW = 1_900_000_000_000


class Refusing(MemoryPublisher):
    """Takes events until ``refuse`` says no."""

    def __init__(self, refuse: Any) -> None:
        super().__init__()
        self.refuse = refuse

    def publish(self, event: Event) -> Future[None]:
        self.available = not self.refuse(event)
        return super().publish(event)


def toggle(records: RecordsSettings, namespace: str, followers: range, times: int) -> None:
    """Each follower follows and unfollows account 1 by turns."""

    async def write() -> None:
        engine = open_engine(records, namespace)
        relations = Relations(engine, message_of, lambda: str(uuid.uuid4()))
        for turn in range(times):
            for follower in followers:
                if turn % 2:
                    await relations.unfollow(follower, 1, NOW + turn, known=True)
                else:
                    await relations.follow(follower, 1, NOW + turn, most=10)
        await engine.dispose()

    asyncio.run(write())


def edges(events: list[Event]) -> dict[int, list[int]]:
    """The times of each follower's changes, in the order of the log."""
    found: dict[int, list[int]] = {}
    for event in events:
        assert isinstance(event, FollowChanged)
        found.setdefault(event.follower_id, []).append(event.ts - NOW)
    return found


def test_a_wave_holds_no_key_twice_and_waves_keep_the_order() -> None:
    messages = [Waiting(position, key, b"") for position, key in enumerate("abacab")]
    assert [[message.position for message in wave] for wave in waves(messages)] == [[0, 1], [2, 3], [4, 5]]
    assert list(waves([])) == []


def test_messages_go_out_in_order_and_are_forgotten(records: RecordsSettings, records_namespace: str) -> None:
    toggle(records, records_namespace, range(10, 15), times=3)
    publisher = MemoryPublisher()
    with connect(records, records_namespace) as connection:
        assert [relay_batch(connection, publisher, limit=7) for _ in range(4)] == [7, 7, 1, 0]
        assert outbox.waiting(connection, 10) == []
    assert edges(publisher.events) == {follower: [0, 1, 2] for follower in range(10, 15)}


def test_a_message_that_the_log_refuses_holds_back_its_key_and_nothing_is_lost(
    records: RecordsSettings, records_namespace: str
) -> None:
    toggle(records, records_namespace, range(10, 13), times=3)
    publisher = Refusing(lambda event: event.follower_id == 11 and event.ts == NOW)
    with connect(records, records_namespace) as connection:
        with pytest.raises(LogUnavailableError, match="2 of 3"):
            relay_batch(connection, publisher)
        assert edges(publisher.events) == {10: [0], 12: [0]}
        publisher.refuse = lambda event: False
        relay_batch(connection, publisher)
    assert edges(publisher.events) == {follower: [0, 1, 2] for follower in (10, 11, 12)}


def test_a_relay_that_dies_before_it_forgets_repeats_in_order_under_the_same_ids(
    records: RecordsSettings, records_namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    toggle(records, records_namespace, range(10, 13), times=2)
    publisher = MemoryPublisher()
    with monkeypatch.context() as patch, connect(records, records_namespace) as doomed:
        patch.setattr(outbox, "remove", lambda connection, positions: connection.close())
        with pytest.raises(psycopg.OperationalError):
            relay_batch(doomed, publisher)
    before = list(publisher.events)
    with connect(records, records_namespace) as connection:
        relay_batch(connection, publisher)
    assert {event.event_id for event in before} < {event.event_id for event in publisher.events}
    assert edges(publisher.events[len(before) :]) == {follower: [0, 1] for follower in range(10, 13)}


def test_a_relay_that_stands_by_takes_over_when_the_active_ones_session_ends(
    records: RecordsSettings, records_namespace: str
) -> None:
    toggle(records, records_namespace, range(10, 12), times=2)
    publisher, stop, connected = MemoryPublisher(), threading.Event(), threading.Event()
    with connect(records, records_namespace) as active:
        assert outbox.try_to_lead(active)
        standby = threading.Thread(
            target=serve, args=(lambda: connect(records, records_namespace), publisher, stop, connected.set)
        )
        standby.start()
        assert connected.wait(10)
        relay_batch(active, first := MemoryPublisher(), limit=2)
        assert publisher.events == []
    with connect(records, records_namespace) as watcher:
        while outbox.waiting(watcher, 1):
            watcher.rollback()
    stop.set()
    standby.join(10)
    assert edges(first.events + publisher.events) == {10: [0, 1], 11: [0, 1]}


def test_the_relay_waits_for_tables_that_are_not_there_yet(records: RecordsSettings) -> None:
    stop, attempts = threading.Event(), threading.Semaphore(0)
    relay = threading.Thread(
        target=serve, args=(lambda: connect(records, "nobody"), MemoryPublisher(), stop, attempts.release)
    )
    relay.start()
    assert attempts.acquire(timeout=10)
    assert attempts.acquire(timeout=10)
    stop.set()
    relay.join(10)
    assert not relay.is_alive()


RELAY = """
import sys
import threading
from concurrent.futures import Future
from ingestion.events import encode
from ingestion.relay import serve
from records.connections import connect
from records.settings import RecordsSettings

class Appended:
    def publish(self, event):
        with open(sys.argv[3], "ab") as log:
            log.write(encode(event) + b"\\n")
        done = Future()
        done.set_result(None)
        return done

settings = RecordsSettings(dsn=sys.argv[1])
serve(lambda: connect(settings, sys.argv[2]), Appended(), threading.Event())
"""


def test_a_relay_process_that_is_killed_again_and_again_loses_nothing_and_keeps_the_order_of_each_key(
    records: RecordsSettings, records_namespace: str, tmp_path: Path
) -> None:
    log, followers, turns = tmp_path / "log", range(10, 20), 10
    log.touch()

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", RELAY, records.dsn, records_namespace, str(log)])

    def until(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < deadline

    relay = begin()
    try:
        for _ in range(3):
            size = log.stat().st_size
            writer = threading.Thread(target=toggle, args=(records, records_namespace, followers, turns))
            writer.start()
            until(lambda: log.stat().st_size > size)  # noqa: B023 - in the middle of its work
            relay.kill()
            relay.wait()
            relay = begin()
            writer.join()
        with connect(records, records_namespace) as watcher:
            watcher.autocommit = True
            until(lambda: not outbox.waiting(watcher, 1))
    finally:
        relay.kill()
        relay.wait()
    first: dict[str, Event] = {}
    for line in log.read_bytes().splitlines():
        event = decode(line)
        first.setdefault(event.event_id, event)
    times = edges(list(first.values()))
    # Changes of one edge are made a millisecond apart or more, so their order shows in their times.
    assert all(changes == sorted(changes) for changes in times.values())
    assert {user: len(changes) for user, changes in times.items()} == dict.fromkeys(followers, 3 * turns)
