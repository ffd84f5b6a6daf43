"""The page on ranking: its example gives what it says, its links lead somewhere."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from training.formula import DEFAULT_WEIGHTS, FORMULA_VERSION
from training.gate import LIMITS

PAGE = Path(__file__).parents[3] / "docs" / "ranking.md"
TEXT = PAGE.read_text()


def test_the_worked_example_gives_the_printed_scores() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {})  # noqa: S102
    assert output.getvalue() == printed


def test_the_page_names_this_builds_formula_weights_and_gate() -> None:
    assert f"version `{FORMULA_VERSION}`" in TEXT
    assert ", ".join(f"`{head}` {weight}" for head, weight in DEFAULT_WEIGHTS.items()) in TEXT
    assert f"calibration error at most {LIMITS.calibration_error}" in TEXT


@pytest.mark.parametrize("target", re.findall(r"\]\((\.\./[^)]*)\)", TEXT))
def test_each_link_leads_to_a_file_of_the_repository(target: str) -> None:
    assert (PAGE.parent / target).exists()
