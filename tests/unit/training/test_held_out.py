"""Held-out examples: later than what any of the models learned from, and enough of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from training.dataset import Examples, NoExamplesError, prepare, time_split
from training.held_out import held_out, learned_until
from training.manifest import Manifest, read_manifest
from training.settings import GateSettings

Make = Callable[..., pd.DataFrame]
OLD = msgspec.structs.replace(
    read_manifest(Path(__file__).parents[2] / "fixtures" / "bundle_v2"), learned_until=None, scoring=None
)
LIMITS = GateSettings(least_lists=10, least_readers=5)


@pytest.fixture(scope="module")
def examples(examples_frame: Make) -> Examples:
    return prepare(examples_frame(lists=200))


def learned(moment: str) -> Manifest:
    return msgspec.structs.replace(OLD, learned_until=moment)


def test_a_bundle_from_before_the_moment_was_recorded_loads_and_narrows_nothing(examples: Examples) -> None:
    assert OLD.learned_until is None
    assert OLD.scoring is None
    assert len(held_out(examples, [OLD], LIMITS)) == len(time_split(examples).test)


def test_a_model_of_the_same_split_is_judged_on_its_whole_test_part(examples: Examples) -> None:
    split = time_split(examples)
    found = held_out(examples, [learned(learned_until(split))], LIMITS)
    assert found.fingerprint == split.test.fingerprint


def test_lists_that_any_of_the_models_may_have_learned_from_are_left_out(examples: Examples) -> None:
    times = time_split(examples).test.frame["event_timestamp"]
    until = times.iloc[len(times) // 2]
    found = held_out(examples, [OLD, learned(until.isoformat())], LIMITS)
    assert 0 < len(found) < len(times)
    assert found.frame["event_timestamp"].min() > until


def test_too_few_later_lists_are_said_so(examples: Examples) -> None:
    last = examples.frame["event_timestamp"].max()
    with pytest.raises(NoExamplesError, match=r"0 lists of 0 readers begun after 2026-\S+ hold engaged"):
        held_out(examples, [learned(last.isoformat())], LIMITS)
    with pytest.raises(NoExamplesError, match="and 10 lists of 500 readers are asked for"):
        held_out(examples, [OLD], LIMITS.model_copy(update={"least_readers": 500}))
