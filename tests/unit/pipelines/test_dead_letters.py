"""Which records become dead letters, and that some job writes those of every topic."""

from __future__ import annotations

import json

import pytest

from ingestion.events import ClockAdvanced, Impression, encode
from ingestion.topics import DEAD_LETTERS, REDRIVES, TOPICS
from pipelines.jobs import DECODING, JOB_TOPICS, UNDECODED
from pipelines.stream.decoding import decode_batch

SHOWN = encode(
    Impression(
        event_id="i",
        ts=1,
        request_id="r",
        user_id=1,
        tweet_id=2,
        author_id=3,
        position=0,
        source="following",
        rung="full",
    )
)
CLOCK = encode(ClockAdvanced(event_id="c", ts=2))
UNKNOWN_VERSION = SHOWN.replace(b'"v":1', b'"v":2')
POISON = {
    "not JSON": b"no event",
    "cut off": SHOWN[:-1],
    "empty": b"",
    "no object": b"3",
    "not UTF-8": SHOWN.replace(b"following", b"\xff\xfe"),
    "two events": SHOWN + b"\n" + SHOWN,
    "an array": b"[" + SHOWN + b"]",
    "unknown type": SHOWN.replace(b"impression", b"expression"),
    "unknown version": UNKNOWN_VERSION,
    "unknown field": SHOWN.replace(b'"ts"', b'"tz":1,"ts"'),
    "missing field": b'{"type":"impression","event_id":"i","ts":1}',
    "wrong type": SHOWN.replace(b'"position":0', b'"position":"first"'),
}


def letters(values: list[bytes]) -> list[tuple[str, int, int]]:
    batch = (0, "impressions", values, [3] * len(values), list(range(50, 50 + len(values))))
    found = [json.loads(letter) for letter in decode_batch(batch).letters]
    assert all(letter["reason"] for letter in found)
    return [(letter["topic"], letter["partition"], letter["offset"]) for letter in found]


def test_events_and_the_clock_make_no_letter() -> None:
    assert letters([SHOWN, CLOCK, SHOWN]) == []


def test_an_event_with_line_breaks_makes_no_letter() -> None:
    assert letters([SHOWN.replace(b",", b",\n"), CLOCK]) == []


@pytest.mark.parametrize("value", POISON.values(), ids=POISON)
def test_what_is_no_event_makes_one_letter_with_its_place(value: bytes) -> None:
    assert letters([SHOWN, value, CLOCK]) == [("impressions", 3, 51)]


def test_each_topic_of_events_has_a_job_that_writes_its_letters() -> None:
    read = {topic for job in DECODING for topic in JOB_TOPICS[job]} | set(UNDECODED)
    assert read == set(TOPICS) - {DEAD_LETTERS, REDRIVES}
    assert not {topic for job in DECODING for topic in JOB_TOPICS[job]} & set(UNDECODED)
