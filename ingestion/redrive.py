"""Puts dead letters back: the record's own bytes, key and headers onto its own partition.

Each letter goes back once, also when the process dies in between: it is noted as started, then the record
is written, then it is noted as done. A letter found started is looked for behind the noted offset, by a
header that names it, before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, Message, Producer

from ingestion.dead_letters import Letter, Redrive, encode_redrive
from ingestion.events import MalformedEventError, decode
from ingestion.log import open_consumer, read_between
from ingestion.offsets import Place, end_offsets
from ingestion.publisher import LogUnavailableError
from ingestion.settings import KafkaSettings
from ingestion.topics import EVENT_TOPICS, MARKS, REDRIVES, SETTINGS, route

HEADER = "tideline-dead-letter"
DELIVERY_S = 15.0


@dataclass(frozen=True)
class Outcome:
    """What became of one letter; ``refused`` says why it was not put back."""

    letter_id: str
    redrive: Redrive | None
    refused: str | None = None


@dataclass(frozen=True)
class _Original:
    """The record as it first stood on the log."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Redriver:
    """Writes to the topics of one namespace. One redriver at a time: two could put one letter back twice."""

    def __init__(self, settings: KafkaSettings, namespace: str) -> None:
        self._settings = settings
        self._namespace = namespace
        self._topics = {topic.full_name(namespace): topic for topic in (*EVENT_TOPICS, MARKS, SETTINGS)}
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 0,
                "message.timeout.ms": int(DELIVERY_S * 1000),
                "allow.auto.create.topics": False,
                "log_level": 2,
            },
            logger=None,
        )

    def redrive(
        self, letters: Sequence[Letter], progress: Callable[[int], None] = lambda done: None
    ) -> list[Outcome]:
        """Put the open ones of these letters back, in their order; what was put back before is left alone.

        Args:
            progress: told how many have been dealt with.

        Raises:
            LogUnavailableError: the broker does not answer; what was put back until then is remembered.
        """
        waiting = [letter for letter in letters if letter.is_open]
        names = {letter.letter.topic for letter in waiting}
        topics = [topic for name, topic in self._topics.items() if name in names]
        ends = end_offsets(self._settings, self._namespace, topics) if topics else {}
        outcomes = []
        with open_consumer(self._settings) as consumer:
            for letter in waiting:
                outcomes.append(self._put_back(letter, consumer, ends))
                progress(len(outcomes))
        return outcomes

    def _put_back(self, letter: Letter, consumer: Consumer, ends: Mapping[Place, int]) -> Outcome:
        name, place = letter.letter_id, (letter.letter.topic, letter.letter.partition)
        if place not in ends:
            return Outcome(name, None, f"{place[0]} is no topic of events of this namespace")
        started = letter.redrive
        if started is not None:
            at = _written(consumer, name, place, started.offset, ends[place])
            if at is not None:
                return self._done(started, at)
        original = _original(consumer, letter)
        if original is None:
            return Outcome(name, None, "its record is no longer on the log, and its bytes do not say its key")
        if self._topics[place[0]].compacted and _replaced(consumer, letter, original.key, ends[place]):
            return Outcome(name, None, "a newer record of its key has replaced it")
        started = Redrive(name, letter.first, letter.attempts + 1, "started", *place, ends[place])
        self._note(started)
        headers = [(header, value) for header, value in original.headers if header != HEADER]
        headers.append((HEADER, name.encode()))
        at = self._write(place[0], original.value, original.key, place[1], headers)
        return self._done(started, at)

    def _done(self, started: Redrive, at: int) -> Outcome:
        done = Redrive(
            started.letter, started.first, started.attempt, "done", started.topic, started.partition, at
        )
        self._note(done)
        return Outcome(started.letter, done)

    def _note(self, redrive: Redrive) -> None:
        self._write(
            REDRIVES.full_name(self._namespace), encode_redrive(redrive), redrive.letter.encode(), 0, []
        )

    def _write(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        headers: Iterable[tuple[str, bytes]],
    ) -> int:
        """The offset that the broker has acknowledged."""
        reports: list[tuple[object, Message]] = []
        try:
            self._producer.produce(
                topic,
                value,
                key,
                partition=partition,
                headers=list(headers),
                on_delivery=lambda error, message: reports.append((error, message)),
            )
        except KafkaException as error:
            raise LogUnavailableError(f"Kafka did not take the record: {error.args[0].str()}.") from error
        self._producer.flush(2 * DELIVERY_S)
        if not reports or reports[0][0] is not None:
            why = reports[0][0] if reports else "no answer"
            raise LogUnavailableError(f"Kafka did not take the record: {why}.")
        return int(reports[0][1].offset())


def _written(consumer: Consumer, name: str, place: Place, start: int, end: int) -> int | None:
    """Where a redrive that was started has left its record, if it came to that."""
    for record in read_between(consumer, place, start, end):
        if (HEADER, name.encode()) in _headers(record):
            return int(record.offset())
    return None


def _original(consumer: Consumer, letter: Letter) -> _Original | None:
    """The record, from the log; where that has deleted it, with the key that its event would get."""
    dead = letter.letter
    place = (dead.topic, dead.partition)
    for record in read_between(consumer, place, dead.offset, dead.offset + 1):
        if record.offset() == dead.offset and (record.value() or b"") == dead.value:
            return _Original(record.key(), record.value(), _headers(record))
    try:
        _, key = route(decode(dead.value))
    except (MalformedEventError, ValueError):
        return None
    return _Original(key, dead.value, [])


def _replaced(consumer: Consumer, letter: Letter, key: bytes | None, end: int) -> bool:
    """Whether a record of the same key came later. A compacted topic keeps the last one of a key for good:
    were this one put behind it, the newer state would be deleted."""
    place = (letter.letter.topic, letter.letter.partition)
    later = read_between(consumer, place, letter.letter.offset + 1, end)
    return any(record.key() == key for record in later)


def _headers(record: Message) -> list[tuple[str, bytes]]:
    return list(record.headers() or [])
