"""The file that carries what a study found to a training run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.heads import HeadParameters
from training.tuning.parameters import (
    SPACE,
    ParametersError,
    TunedParameters,
    parameters_file,
    read_parameters,
    write_parameters,
)

FOUND = TunedParameters(study="nightly", head={"trees": 80, "leaves": 15, "learning_rate": 0.1}, value=12.5)


def test_what_a_study_found_is_read_by_its_name_or_by_its_file(tmp_path: Path) -> None:
    path = parameters_file(tmp_path, "nightly")
    write_parameters(path, FOUND)
    assert read_parameters("nightly", tmp_path) == FOUND
    assert read_parameters(str(path), tmp_path / "elsewhere") == FOUND
    assert FOUND.of(HeadParameters()) == HeadParameters(trees=80, leaves=15, learning_rate=0.1)


def test_the_defaults_are_within_what_is_searched() -> None:
    assert all(span.holds(getattr(HeadParameters(), name)) for name, span in SPACE.items())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{}", "is not a file of parameters: Object missing required field `study`"),
        ("not json", "is not a file of parameters"),
        ({"study": "x", "head": {}, "tree": 3}, "is not a file of parameters: Object contains unknown field"),
        ({"study": "x", "head": {"depth": 3}}, "has parameters that are not searched: depth"),
        ({"study": "x", "head": {"trees": 5000}}, r"trees in .* is 5000, not a whole number from 40 to 400"),
        ({"study": "x", "head": {"trees": 80.5}}, r"trees in .* is 80.5, not a whole number"),
        ({"study": "x", "head": {"l2": -1}}, r"l2 in .* is -1, not a number from 0.1 to 100.0"),
        ('{"study": "x", "head": {"l2": NaN}}', "is not a file of parameters"),
    ],
)
def test_a_file_of_something_else_is_refused_in_one_sentence(
    content: object, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "nightly.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ParametersError, match=reason) as refused:
        read_parameters("nightly", tmp_path)
    assert "\n" not in str(refused.value)


def test_a_study_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ParametersError, match="nobody is neither a file nor a study that has found"):
        read_parameters("nobody", tmp_path)
