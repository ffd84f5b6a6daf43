"""Snowflake ids, machine numbers, hashtags."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.machine import NoMachineNumberError, claim_machine
from ingestion.snowflake import EPOCH_MS, SnowflakeSequence, snowflake, time_of
from ingestion.text import hashtags


@given(st.integers(EPOCH_MS, EPOCH_MS + (1 << 41) - 1), st.integers(0, 1023), st.integers(0, 4095))
def test_an_id_holds_its_time_and_orders_by_time_machine_and_sequence(
    ts: int, machine: int, sequence: int
) -> None:
    made = snowflake(ts, machine, sequence)
    assert time_of(made) == ts
    assert made < 1 << 63
    assert made < snowflake(ts + 1)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=200))
def test_a_sequence_never_repeats_an_id_or_steps_back_whatever_the_clock_does(steps: list[int]) -> None:
    now = [EPOCH_MS + 1000]
    ids = SnowflakeSequence(1, lambda: now[0])
    made = []
    for step in steps:
        now[0] += step
        made.append(ids.next())
    assert made == sorted(set(made))


def test_more_ids_than_a_millisecond_has_go_on_in_the_next() -> None:
    ids = SnowflakeSequence(1, lambda: EPOCH_MS + 5)
    made = [ids.next() for _ in range(5000)]
    assert len(set(made)) == 5000
    assert time_of(made[-1]) == EPOCH_MS + 6


def test_processes_of_a_host_get_different_machine_numbers_until_there_are_none(tmp_path: Path) -> None:
    held = [claim_machine(tmp_path, 512, 2) for _ in range(2)]
    assert [machine.number for machine in held] == [512, 513]
    with pytest.raises(NoMachineNumberError, match="512 to 513 are all taken"):
        claim_machine(tmp_path, 512, 2)
    held[0].release()
    again = claim_machine(tmp_path, 512, 2)
    assert again.number == 512
    again.release()
    held[1].release()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("#one and #two", ("one", "two")),
        ("#Same #same", ("Same",)),
        ("#2026 is a number, #y2026 is not", ("y2026",)),
        ("a#b http://x.org/#anchor &#39;", ()),
        ("＃日本 #été!", ("日本", "été")),
    ],
)
def test_hashtags_are_the_words_behind_the_sign(text: str, found: tuple[str, ...]) -> None:
    assert hashtags(text) == found
