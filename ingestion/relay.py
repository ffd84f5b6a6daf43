"""The relay: brings the outbox of the records to the log, in order per key, at least once.

One relay of a schema is active, by an advisory lock of its session; others stand by. A message is removed
after Kafka has acknowledged it, and a key's next message is published after that, so that neither a failed
delivery nor the death of the relay loses a message or changes their order. What is repeated has its old id.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import psycopg
from pydantic import Field

from ingestion.events import decode
from ingestion.publisher import KafkaPublisher, LogUnavailableError, Publisher
from ingestion.settings import TidelineSettings
from records import outbox
from records.connections import connect
from records.outbox import Waiting
from records.settings import RecordsSettings

logger = logging.getLogger(__name__)
BATCH = 500
POLL_S = 0.05
RETRY_S = 1.0
ACKNOWLEDGED_S = 30.0


class RelaySettings(TidelineSettings):
    """What the relay reads from the environment and the TOML files."""

    records: RecordsSettings = Field(default_factory=RecordsSettings)


def waves(messages: Sequence[Waiting]) -> Iterator[list[Waiting]]:
    """Messages in their order, cut where a key comes again: those of one wave may be under way together."""
    wave: list[Waiting] = []
    keys: set[str] = set()
    for message in messages:
        if message.aggregateid in keys:
            yield wave
            wave, keys = [], set()
        wave.append(message)
        keys.add(message.aggregateid)
    if wave:
        yield wave


def relay_batch(connection: psycopg.Connection[Any], publisher: Publisher, limit: int = BATCH) -> int:
    """Publish the oldest messages and remove those that were acknowledged; how many they were.

    Raises:
        LogUnavailableError: Kafka did not take one of them; it and what follows it stay in the outbox.
        psycopg.Error: PostgreSQL does not answer, or the tables are not there.
    """
    messages = outbox.waiting(connection, limit)
    connection.rollback()
    for wave in waves(messages):
        futures = [publisher.publish(decode(message.payload)) for message in wave]
        wait(futures, timeout=ACKNOWLEDGED_S)
        taken = [
            message.position
            for message, future in zip(wave, futures, strict=True)
            if future.done() and future.exception() is None
        ]
        outbox.remove(connection, taken)
        connection.commit()
        if len(taken) < len(wave):
            raise LogUnavailableError(f"Kafka took {len(taken)} of {len(wave)} messages of the outbox.")
    return len(messages)


def serve(
    open_connection: Callable[[], psycopg.Connection[Any]],
    publisher: Publisher,
    stop: threading.Event,
    on_connected: Callable[[], None] = lambda: None,
) -> None:
    """Relay until ``stop`` is set; what fails is tried again."""
    while not stop.is_set():
        try:
            with open_connection() as connection:
                on_connected()
                while not outbox.try_to_lead(connection) and not stop.is_set():
                    connection.rollback()
                    stop.wait(RETRY_S)
                while not stop.is_set():
                    if not relay_batch(connection, publisher):
                        stop.wait(POLL_S)
        except psycopg.errors.UndefinedTable:
            stop.wait(RETRY_S)  # `tideline up` makes the tables while the relay starts
        except (psycopg.OperationalError, psycopg.InterfaceError, LogUnavailableError) as error:
            logger.warning("The outbox waits: %s", str(error).strip())
            stop.wait(RETRY_S)


def main(arguments: Sequence[str]) -> None:
    """Relay in this process until TERM; the file named first is made when PostgreSQL answers."""
    settings = RelaySettings()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    connected = Path(arguments[0])
    publisher = KafkaPublisher(settings.kafka, settings.namespace, patience_s=5.0)
    try:
        serve(lambda: connect(settings.records, settings.namespace), publisher, stop, connected.touch)
    finally:
        publisher.close()


if __name__ == "__main__":
    main(sys.argv[1:])
