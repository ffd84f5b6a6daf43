"""What is recorded of the data that a model learned from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from training.checks import RecordedCheck, examples_check, tables_check
from training.dataset import prepare
from training.versions import check_tags

Make = Callable[..., pd.DataFrame]


def test_sound_examples_pass(examples_frame: Make) -> None:
    assert examples_check(prepare(examples_frame(lists=5))) == RecordedCheck("examples", True, "100 examples")


def test_infinite_values_and_rows_that_stand_twice_are_named(examples_frame: Make) -> None:
    frame = examples_frame(lists=5)
    frame.loc[3, "author_tweets"] = np.inf
    found = examples_check(prepare(pd.concat([frame, frame.iloc[:2]])))
    assert not found.passed
    assert found.detail == (
        "the examples have infinite values of author_tweets and 2 rows that stand twice in their list"
    )


def test_a_table_must_have_met_its_expectations_when_last_built(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text('{"success": true, "results": []}')
    (tmp_path / "authors.json").write_text('{"success": false}')
    (tmp_path / "half.json").write_text('{"succ')
    assert tables_check(tmp_path, ["users"]) == RecordedCheck(
        "tables", True, "1 tables met their expectations"
    )
    found = tables_check(tmp_path, ["users", "authors", "half", "absent"])
    assert not found.passed
    assert found.detail == "authors did not meet the expectations; half, absent were not checked"


def test_a_long_finding_still_fits_a_tag() -> None:
    ((key, value),) = check_tags([RecordedCheck("parity", False, "x" * 9000)]).items()
    assert key == "check.parity"
    assert len(value) < 5000
