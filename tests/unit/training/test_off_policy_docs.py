"""The page on off-policy evaluation: its example gives what it says, its links lead somewhere."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from training.off_policy_report import LEAST_READERS, LEAST_REWARDED

PAGE = Path(__file__).parents[3] / "docs" / "off-policy.md"
TEXT = PAGE.read_text()


def test_the_worked_example_gives_the_printed_estimates() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {})  # noqa: S102
    assert output.getvalue() == printed


def test_the_sums_by_hand_are_those_of_the_example() -> None:
    by_hand = re.search(
        r"is \((.*?)\) / 6, and .*? is expected, 2\.4 / 6,.*?missed, \((.*?)\) / 6", TEXT, re.S
    )
    assert by_hand is not None
    plain, missed = (eval(part.replace("·", "*").replace("−", "-")) for part in by_hand.groups())  # noqa: S307
    assert f"inverse propensity {plain / 6:.4f}\n" in TEXT
    assert f"doubly robust {(2.4 + missed) / 6:.4f} (" in TEXT


def test_the_page_names_what_is_too_little() -> None:
    assert f"fewer than {LEAST_READERS} readers" in TEXT
    assert f"fewer than {LEAST_REWARDED} explored" in TEXT


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]*)", TEXT))
def test_each_link_leads_to_a_file_of_the_repository(target: str) -> None:
    assert (PAGE.parent / target).exists()
