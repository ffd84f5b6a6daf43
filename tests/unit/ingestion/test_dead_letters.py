"""What is said of dead letters, from what the jobs and earlier redrives wrote."""

from __future__ import annotations

import json

from ingestion.dead_letters import DeadLetter, Letter, Redrive, chosen, join


def letter(offset: int, reason: str = "truncated", topic: str = "tweets") -> DeadLetter:
    return DeadLetter(reason, topic, 2, offset, b"{")


def redrive(offset: int, to: int, attempt: int = 2, first: int | None = None, state: str = "done") -> Redrive:
    origin = f"tweets:2:{offset if first is None else first}"
    return Redrive(f"tweets:2:{offset}", origin, attempt, state, "tweets", 2, to)  # type: ignore[arg-type]


def ids(letters: list[Letter]) -> list[str]:
    return [found.letter_id for found in letters]


def test_a_letter_is_one_json_object_with_its_bytes_in_base64() -> None:
    assert json.loads(letter(7).encode()) == {
        "reason": "truncated",
        "topic": "tweets",
        "partition": 2,
        "offset": 7,
        "value": "ew==",
    }


def test_what_several_jobs_say_of_one_record_is_one_letter_with_the_time_of_the_first() -> None:
    (found,) = join([(10, letter(7)), (20, letter(7, "no such id")), (30, letter(7))], [])
    assert found.reasons == ("truncated", "no such id")
    assert found.ts == 10
    assert found.attempts == 1
    assert found.is_open


def test_a_letter_put_back_is_closed_and_one_only_started_is_not() -> None:
    written = [(1, letter(7)), (2, letter(8))]
    done, started = join(written, [redrive(7, to=90), redrive(8, to=91, state="started")])
    assert not done.is_open
    assert started.is_open


def test_a_record_that_fails_again_counts_its_attempts_and_names_the_first() -> None:
    written = [(1, letter(7)), (2, letter(90)), (3, letter(120))]
    redrives = [redrive(7, to=90), redrive(90, to=120, attempt=3, first=7)]
    first, second, third = join(written, redrives)
    assert [found.attempts for found in (first, second, third)] == [1, 2, 3]
    assert {found.first for found in (first, second, third)} == {"tweets:2:7"}
    assert [found.is_open for found in (first, second, third)] == [False, False, True]


def test_letters_are_chosen_by_topic_reason_and_time() -> None:
    letters = join(
        [
            (1, letter(1)),
            (2, letter(2, "Object missing required field")),
            (3, letter(3, "object unknown", topic="live.follows")),
        ],
        [],
    )
    assert ids(chosen(letters, topic="follows")) == ["live.follows:2:3"]
    assert ids(chosen(letters, topic="live.follows")) == ["live.follows:2:3"]
    assert ids(chosen(letters, reason="OBJECT")) == ["tweets:2:2", "live.follows:2:3"]
    assert ids(chosen(letters, since_ms=2, until_ms=3)) == ["tweets:2:2"]
