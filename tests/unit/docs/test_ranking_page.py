"""The page on ranking names every rung, reason, outcome and setting, with the defaults of this build."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from serving.feed.policy import default_policy
from serving.settings import ServingSection
from serving.shapes import Reason, Rung, WhyNot

TEXT = (Path(__file__).parents[3] / "docs" / "ranking.md").read_text()


@pytest.mark.parametrize("name", [*get_args(Rung), *get_args(Reason), *ServingSection.model_fields])
def test_the_page_names_it(name: str) -> None:
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("outcome", ["shown", "below_the_page", "removed", "no_candidate"])
def test_the_page_names_each_outcome_of_the_admin_explanation(outcome: str) -> None:
    assert outcome in str(WhyNot.__annotations__["outcome"])
    assert f"`{outcome}`" in TEXT


def test_the_table_of_rungs_has_the_defaults_of_policy_and_settings() -> None:
    budgets, section = default_policy().budgets, ServingSection()
    ladder = TEXT[TEXT.index("## The ladder") : TEXT.index("### What the rungs")]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", ladder, re.MULTILINE))
    assert rows["full"].startswith(f"{budgets.candidates} candidates, heads on {budgets.heads}")
    assert rows["reduced"].startswith(
        f"{budgets.reduced_candidates} candidates, heads on {budgets.reduced_heads}"
    )
    assert f"`overload`: {section.full_under_way} " in rows["reduced"]
    assert f"`overload`: {section.reduced_under_way} " in rows["light"]
    assert f"`overload`: {section.light_under_way} " in rows["chronological"]
    assert f"waited for {section.full_waited} of its deadline" in rows["reduced"]
    assert f"or {section.reduced_waited} of the deadline" in rows["light"]
    assert section.light_waited == 0.5
    assert "half of the deadline is over" in rows["chronological"]


def test_the_table_of_settings_has_their_defaults() -> None:
    for names, defaults in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([\d., ]+) \|", TEXT, re.MULTILINE):
        for name, default in zip(re.findall(r"`(\w+)`", names), defaults.split(", "), strict=True):
            if name in ServingSection.model_fields:
                assert getattr(ServingSection(), name) == float(default)
