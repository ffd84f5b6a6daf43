"""What is recorded of the data that a model learned from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from features.names import MODEL_INPUT
from features.parity import ParityReport, compare
from features.settings import ParitySettings
from training.checks import RecordedCheck, examples_check, parity_check, tables_check
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


def test_a_constant_feature_is_named_and_no_fault(examples_frame: Make) -> None:
    frame = examples_frame(lists=5).assign(tweet_quotes=0.0, tweet_replies=np.nan)
    found = examples_check(prepare(frame))
    assert found.passed
    assert found.detail == "100 examples; tweet_replies, tweet_quotes of one value in all of them"


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


def served(scale: float) -> ParityReport:
    """200 rows whose ``author_followers`` were logged ``scale`` times what they are offline."""
    values = np.random.default_rng(1).gamma(2.0, 1.0, (200, len(MODEL_INPUT)))
    offline = {name: values[:, place] for place, name in enumerate(MODEL_INPUT)}
    logged = offline | {"author_followers": offline["author_followers"] * scale}
    return compare(logged, offline, [offline], ParitySettings())


def test_parity_holds_where_logged_and_offline_features_agree() -> None:
    check = parity_check(served(1.0), ParitySettings())
    assert check == RecordedCheck("parity", True, "200 logged rows agree with the offline features")


def test_parity_names_what_is_above_its_limit_and_the_limit_is_a_setting() -> None:
    check = parity_check(served(2.0), ParitySettings())
    assert check == RecordedCheck("parity", False, "100.0% of author_followers differ, above 2.0%")
    assert parity_check(served(2.0), ParitySettings(differing=1.0)).passed
