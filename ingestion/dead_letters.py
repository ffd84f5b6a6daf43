"""Dead letters: records that a stream job could not use, and what became of each.

Each job that reads a topic writes letters of its own, and writes them again after a restart. So a letter is
named by where its record stands (``topic:partition:offset``), and all that was said of that record is one
letter. What was put back is remembered in the compacted topic ``redrives``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from ingestion.log import Progress, read_records
from ingestion.settings import KafkaSettings
from ingestion.topics import DEAD_LETTERS, REDRIVES


class DeadLetter(msgspec.Struct, frozen=True):
    """What a job writes: why, where the record stands, and its bytes (base64 in JSON)."""

    reason: str
    topic: str
    partition: int
    offset: int
    value: bytes

    def encode(self) -> str:
        """One JSON object."""
        return _encoder.encode(self).decode()

    @property
    def letter_id(self) -> str:
        return letter_id(self.topic, self.partition, self.offset)


class Redrive(msgspec.Struct, frozen=True):
    """A letter put back: ``started`` before its record is written, ``done`` after.

    ``first`` is the letter of the first attempt, ``attempt`` the number of this one (the first redrive is
    attempt 2). ``offset``: when started, the end of the partition at that moment, behind which the record
    stands if it was written at all; when done, where it stands.
    """

    letter: str
    first: str
    attempt: int
    state: Literal["started", "done"]
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True)
class Letter:
    """One record that failed: the reasons that were given, when first (ms UTC), and after how many attempts.

    ``first`` is the letter of the first attempt; ``redrive`` says what was done with this one.
    """

    letter: DeadLetter
    reasons: tuple[str, ...]
    ts: int
    attempts: int
    first: str
    redrive: Redrive | None

    @property
    def letter_id(self) -> str:
        return self.letter.letter_id

    @property
    def is_open(self) -> bool:
        return self.redrive is None or self.redrive.state != "done"


_encoder = msgspec.json.Encoder()
_letters = msgspec.json.Decoder(DeadLetter)
_redrives = msgspec.json.Decoder(Redrive)


def letter_id(topic: str, partition: int, offset: int) -> str:
    return f"{topic}:{partition}:{offset}"


def encode_redrive(redrive: Redrive) -> bytes:
    return _encoder.encode(redrive)


def read_letters(
    settings: KafkaSettings, namespace: str, progress: Progress = lambda read, total: None
) -> list[Letter]:
    """Every letter still on the log, in the order in which they were first written.

    Raises:
        LogUnavailableError: the broker does not answer or has no such topics.
    """
    redrives = _redrives.decode_lines(
        b"\n".join(record.value() for record in read_records(settings, namespace, [REDRIVES]))
    )
    written = (
        (record.timestamp()[1], _letters.decode(record.value()))
        for record in read_records(settings, namespace, [DEAD_LETTERS], progress=progress)
    )
    return join(written, redrives)


def join(written: Iterable[tuple[int, DeadLetter]], redrives: Iterable[Redrive]) -> list[Letter]:
    """The letters as written (ms UTC, letter) with what was done with them; later redrives win."""
    last = {redrive.letter: redrive for redrive in redrives}
    from_redrive = {
        letter_id(redrive.topic, redrive.partition, redrive.offset): redrive
        for redrive in last.values()
        if redrive.state == "done"
    }
    letters: dict[str, Letter] = {}
    for ts, letter in written:
        name = letter.letter_id
        known = letters.get(name)
        if known is not None:
            if letter.reason not in known.reasons:
                letters[name] = replace(known, reasons=(*known.reasons, letter.reason))
            continue
        cause = from_redrive.get(name)
        letters[name] = Letter(
            letter=letter,
            reasons=(letter.reason,),
            ts=ts,
            attempts=1 if cause is None else cause.attempt,
            first=name if cause is None else cause.first,
            redrive=last.get(name),
        )
    return list(letters.values())


def chosen(
    letters: Iterable[Letter],
    *,
    topic: str | None = None,
    reason: str | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
) -> list[Letter]:
    """The letters of a topic (its name on the broker or without its namespace), a reason (part of it, in any
    case) and a time (from ``since_ms`` to before ``until_ms``)."""

    def fits(letter: Letter) -> bool:
        name = letter.letter.topic
        return (
            (topic is None or topic in (name, name.rpartition(".")[2]))
            and (reason is None or any(reason.lower() in said.lower() for said in letter.reasons))
            and (since_ms is None or letter.ts >= since_ms)
            and (until_ms is None or letter.ts < until_ms)
        )

    return [letter for letter in letters if fits(letter)]
