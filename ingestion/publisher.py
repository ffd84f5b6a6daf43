"""Puts events on the log, and tells of each whether it was acknowledged."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from confluent_kafka import KafkaException, Producer

from ingestion.events import ClockAdvanced, Event, encode
from ingestion.settings import KafkaSettings
from ingestion.topics import EVENT_TOPICS, TOPICS, Topic, route

logger = logging.getLogger(__name__)

QUEUE_MESSAGES = 50_000
QUEUE_KIB = 64 * 1024
CLOCK_KEY = b"clock"


class LogUnavailableError(RuntimeError):
    """The log did not take an event; nothing was acknowledged."""


Delivered = Callable[[LogUnavailableError | None], None]
"""Told what became of an event: None, or why it is not on the log; called from any thread."""


class Publisher(Protocol):
    """What the write API, the replay and the ranking service write events with."""

    def hand_over(self, event: Event, delivered: Delivered) -> None:
        """As :meth:`publish`, for many events that nobody waits for: a future costs more than the rest.

        Raises:
            LogUnavailableError: the queue is full; ``delivered`` is not called.
        """
        ...

    def publish(self, event: Event) -> Future[None]:
        """Hand an event over; the future ends when the log has acknowledged it.

        Raises:
            LogUnavailableError: the queue is full. The future raises the same when delivery fails.
        """
        ...

    def advance_clock(self, ts: int) -> int:
        """Write :class:`ClockAdvanced` to every partition of every event topic, after all that came before.

        Returns:
            The number of records written.
        """
        ...

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until everything handed over is acknowledged or has failed.

        Raises:
            LogUnavailableError: some events were still unacknowledged after ``timeout_s``.
        """
        ...

    def close(self) -> None:
        """Flush and release the connection."""
        ...


class KafkaPublisher:
    """An idempotent ``acks=all`` producer and the thread that collects its delivery reports.

    Args:
        settings: the broker's address.
        namespace: prefix of the topic names.
        patience_s: how long ``publish`` waits for room in a full queue. Nothing for a request that a
            client waits for, long for a replay.
        delivery_s: after how long an event that cannot be delivered fails.
        linger_ms: how long the producer collects a batch.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        namespace: str = "",
        *,
        patience_s: float = 0.0,
        delivery_s: float = 8.0,
        linger_ms: int = 5,
    ) -> None:
        self._namespace = namespace
        self._patience_s = patience_s
        self._topics = {topic.name: topic.full_name(namespace) for topic in TOPICS}
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": linger_ms,
                "compression.type": "lz4",
                "message.timeout.ms": int(delivery_s * 1000),
                "queue.buffering.max.messages": QUEUE_MESSAGES,
                "queue.buffering.max.kbytes": QUEUE_KIB,
                "allow.auto.create.topics": False,
                "log_level": 2,
            },
            logger=None,
        )
        self._stop = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="kafka-delivery-reports", daemon=True)
        self._poller.start()

    def hand_over(self, event: Event, delivered: Delivered) -> None:
        topic, key = route(event)
        self._produce(topic, key, encode(event), -1, delivered)

    def publish(self, event: Event) -> Future[None]:
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # what is handed over cannot be called back
        self.hand_over(event, _ends(future))
        return future

    def advance_clock(self, ts: int) -> int:
        self.flush()
        futures = []
        for topic in EVENT_TOPICS:
            for partition in range(self._partitions(topic)):
                event = ClockAdvanced(event_id=f"clock:{topic.name}:{partition}:{ts}", ts=ts)
                # Compacted topics refuse records without a key.
                futures.append(future := Future[None]())
                self._produce(topic, CLOCK_KEY, encode(event), partition, _ends(future))
        self.flush()
        for future in futures:
            future.result(timeout=0)
        return len(futures)

    def flush(self, timeout_s: float = 30.0) -> None:
        left = self._producer.flush(timeout_s)
        if left:
            raise LogUnavailableError(f"Kafka had not acknowledged {left} events after {timeout_s:.0f} s.")

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._stop.set()
            self._poller.join()

    def _partitions(self, topic: Topic) -> int:
        name = self._topics[topic.name]
        try:
            found = self._producer.list_topics(name, timeout=10).topics[name]
        except KafkaException as error:
            raise LogUnavailableError(f"Kafka does not answer: {error.args[0].str()}.") from error
        if not found.partitions:
            raise LogUnavailableError(f"The topic {name} does not exist.")
        return len(found.partitions)

    def _produce(self, topic: Topic, key: bytes, value: bytes, partition: int, delivered: Delivered) -> None:
        def report(error: object, _message: object) -> None:
            delivered(LogUnavailableError(f"Kafka did not take the event: {error}.") if error else None)

        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                self._producer.produce(
                    self._topics[topic.name], value, key, partition=partition, on_delivery=report
                )
                return
            except BufferError as error:
                if time.monotonic() >= deadline:
                    raise LogUnavailableError("Kafka is behind: the queue of events is full.") from error
                self._producer.poll(0.05)
            except KafkaException as error:
                raise LogUnavailableError(f"Kafka did not take the event: {error.args[0].str()}.") from error

    def _poll(self) -> None:
        while not self._stop.is_set():
            try:
                self._producer.poll(0.1)
            except Exception:  # a delivery report raised: without this thread no write is answered any more
                logger.exception("A delivery report could not be told.")


def _ends(future: Future[None]) -> Delivered:
    """What ends a future."""

    def end(error: LogUnavailableError | None) -> None:
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    return end


@dataclass
class MemoryPublisher:
    """The twin of :class:`KafkaPublisher`: a list instead of a broker.

    ``available`` set to False makes it behave as a broker that does not answer.
    """

    available: bool = True
    events: list[Event] = field(default_factory=list)

    def hand_over(self, event: Event, delivered: Delivered) -> None:
        route(event)
        if self.available:
            self.events.append(event)
            delivered(None)
        else:
            delivered(LogUnavailableError("Kafka did not take the event: it is down."))

    def publish(self, event: Event) -> Future[None]:
        future: Future[None] = Future()
        self.hand_over(event, _ends(future))
        return future

    def advance_clock(self, ts: int) -> int:
        written = 0
        for topic in EVENT_TOPICS:
            for partition in range(topic.partitions):
                self.events.append(ClockAdvanced(event_id=f"clock:{topic.name}:{partition}:{ts}", ts=ts))
                written += 1
        return written

    def flush(self, timeout_s: float = 30.0) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing is held here."""
