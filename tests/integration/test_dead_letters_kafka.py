"""Dead letters put back on a real broker: the same bytes and key in the same place, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from confluent_kafka import Message, Producer
from typer.testing import CliRunner

from ingestion.admin import create_topics
from ingestion.dead_letters import DeadLetter, Letter, Redrive, read_letters
from ingestion.events import TweetCreated, encode
from ingestion.log import read_records
from ingestion.publisher import LogUnavailableError
from ingestion.redrive import HEADER, Redriver
from ingestion.settings import KafkaSettings
from ingestion.topics import DEAD_LETTERS, FOLLOWS, TWEETS
from stack.commands.dead_letters import app

pytestmark = pytest.mark.stack

RUBBISH = b'{"rubbish'


class Log:
    """One namespace of the broker, as producers and the jobs' dead-letter sink write it."""

    def __init__(self, kafka: KafkaSettings, namespace: str) -> None:
        self.kafka = kafka
        self.namespace = namespace
        self.topic = TWEETS.full_name(namespace)
        create_topics(kafka, namespace)
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap})

    def put(self, topic: str, value: bytes, key: bytes | None = None, partition: int = 0, **more: Any) -> int:
        offsets: list[int] = []
        self._producer.produce(
            topic,
            value,
            key,
            partition=partition,
            on_delivery=lambda error, message: offsets.append(message.offset()),
            **more,
        )
        self._producer.flush()
        return offsets[0]

    def poison(self, value: bytes = RUBBISH, key: bytes = b"5", partition: int = 2, **more: Any) -> str:
        """A record that a job cannot use, and the job's letter about it; returns the letter's name."""
        offset = self.put(self.topic, value, key, partition, **more)
        return self.refuse("Input data was truncated", partition, offset, value)

    def refuse(self, reason: str, partition: int, offset: int, value: bytes = RUBBISH) -> str:
        letter = DeadLetter(reason, self.topic, partition, offset, value)
        self.put(DEAD_LETTERS.full_name(self.namespace), letter.encode().encode())
        return letter.letter_id

    def letters(self) -> list[Letter]:
        return read_letters(self.kafka, self.namespace)

    def records(self) -> list[Message]:
        return list(read_records(self.kafka, self.namespace, [TWEETS]))

    def redriver(self) -> Redriver:
        return Redriver(self.kafka, self.namespace)


@pytest.fixture
def log(kafka: KafkaSettings, request: pytest.FixtureRequest) -> Log:
    return Log(kafka, request.node.name[:100])


def test_a_letter_goes_back_with_its_bytes_key_headers_and_partition(log: Log) -> None:
    name = log.poison(headers=[("trace", b"abc")])
    (outcome,) = log.redriver().redrive(log.letters())
    before, after = log.records()
    assert outcome.redrive is not None
    assert outcome.redrive.offset == after.offset()
    for record in (before, after):
        assert (record.value(), record.key(), record.partition()) == (RUBBISH, b"5", 2)
    assert after.headers() == [("trace", b"abc"), (HEADER, name.encode())]


def test_a_letter_put_back_is_not_put_back_again_by_anyone(log: Log) -> None:
    log.poison()
    log.redriver().redrive(log.letters())
    assert log.redriver().redrive(log.letters()) == []
    assert len(log.records()) == 2


def test_a_redrive_that_died_after_writing_its_record_is_noted_and_not_written_again(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.poison()
    note = Redriver._note

    def die_when_done(self: Redriver, redrive: Redrive) -> None:
        if redrive.state == "done":
            raise LogUnavailableError("The process was killed here.")
        note(self, redrive)

    monkeypatch.setattr(Redriver, "_note", die_when_done)
    with pytest.raises(LogUnavailableError):
        log.redriver().redrive(log.letters())
    monkeypatch.undo()
    (letter,) = log.letters()
    assert letter.is_open
    (outcome,) = log.redriver().redrive([letter])
    assert len(log.records()) == 2
    assert outcome.redrive is not None
    assert outcome.redrive.offset == log.records()[1].offset()
    assert not log.letters()[0].is_open


def test_a_redrive_that_died_before_writing_its_record_is_carried_out(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.poison()
    write = Redriver._write

    def die_at_the_record(self: Redriver, topic: str, *more: Any) -> int:
        if topic == log.topic:
            raise LogUnavailableError("The process was killed here.")
        return write(self, topic, *more)

    monkeypatch.setattr(Redriver, "_write", die_at_the_record)
    with pytest.raises(LogUnavailableError):
        log.redriver().redrive(log.letters())
    monkeypatch.undo()
    log.put(log.topic, b"another", b"5", 2)
    assert len(log.redriver().redrive(log.letters())) == 1
    assert [record.value() for record in log.records()] == [RUBBISH, b"another", RUBBISH]


def test_a_letter_that_fails_again_comes_back_with_its_count_of_attempts(log: Log) -> None:
    name = log.poison()
    (outcome,) = log.redriver().redrive(log.letters())
    assert outcome.redrive is not None
    log.refuse("Input data was truncated", 2, outcome.redrive.offset)
    old, again = log.letters()
    assert not old.is_open
    assert again.is_open
    assert (again.attempts, again.first) == (2, name)
    (third,) = log.redriver().redrive([again])
    assert third.redrive is not None
    assert third.redrive.attempt == 3


def test_a_record_that_the_log_has_deleted_gets_the_key_of_its_event_or_is_refused(log: Log) -> None:
    event = encode(TweetCreated(event_id="t", ts=1, tweet_id=9, author_id=7, text="x"))
    known, unknown = log.refuse("refused", 1, 500, event), log.refuse("refused", 1, 501)
    first, second = log.redriver().redrive(log.letters())
    assert (first.letter_id, first.refused) == (known, None)
    assert (second.letter_id, second.redrive) == (unknown, None)
    assert second.refused is not None
    (record,) = log.records()
    assert (record.value(), record.key(), record.partition()) == (event, b"7", 1)


def test_a_record_whose_key_has_a_newer_one_stays_away_from_a_compacted_topic(log: Log) -> None:
    follows = FOLLOWS.full_name(log.namespace)
    old = log.put(follows, RUBBISH, b"1:2", 0)
    replaced = DeadLetter("refused", follows, 0, old, RUBBISH)
    log.put(follows, b"the newer state", b"1:2", 0)
    other = log.put(follows, RUBBISH, b"1:3", 0)
    for letter in (replaced, DeadLetter("refused", follows, 0, other, RUBBISH)):
        log.put(DEAD_LETTERS.full_name(log.namespace), letter.encode().encode())
    first, second = log.redriver().redrive(log.letters())
    assert first.refused == "a newer record of its key has replaced it"
    assert second.refused is None
    kept = [record.value() for record in read_records(log.kafka, log.namespace, [FOLLOWS])]
    assert kept == [RUBBISH, b"the newer state", RUBBISH, RUBBISH]


def test_the_command_lists_chooses_and_puts_back(log: Log, tmp_path: Path) -> None:
    env = {
        "TIDELINE_HOME": str(tmp_path),
        "TIDELINE_KAFKA__BOOTSTRAP": log.kafka.bootstrap,
        "TIDELINE_NAMESPACE": log.namespace,
    }

    def tideline(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments, env=env)

    assert tideline("list").stdout == "No dead letters.\n"
    one, two = log.poison(), log.poison(b'{"other', partition=1)
    listed = json.loads(tideline("list", "--json", "--topic", "tweets").stdout)
    assert [(found["letter"], found["attempts"], found["state"]) for found in listed] == [
        (one, 1, "open"),
        (two, 1, "open"),
    ]
    assert json.loads(tideline("list", "--json", "--reason", "no such").stdout) == []
    assert '{"other' in tideline("show", two).stdout
    assert tideline("redrive", two).stdout == "Put back: 1 of 1.\n"
    assert tideline("redrive", two).stdout == "Put back: 0 of 0. 1 had been put back before.\n"
    assert "truncated" in tideline("list").stdout
    again = json.loads(tideline("redrive", "--json").stdout)
    assert (again["put_back"], again["before"]) == (1, 1)
    assert tideline("list").stdout == "No dead letters.\n"
    assert "There is no dead letter tweets:0:9" in str(tideline("redrive", "tweets:0:9").exception)
