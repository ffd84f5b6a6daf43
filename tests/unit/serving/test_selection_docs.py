"""The page on selection: its example gives what it says, its table is the policy that is packaged."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from serving.feed.exploration import explore
from serving.feed.policy import Exploration, default_policy
from serving.feed.selection import balanced

PAGE = Path(__file__).parents[3] / "docs" / "selection.md"
TEXT = PAGE.read_text()


def test_the_worked_example_gives_the_printed_page() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {})  # noqa: S102
    assert output.getvalue() == printed


def test_each_printed_score_is_the_product_that_stands_before_it() -> None:
    products = re.findall(r"item \d+  ([\d.]+) · ([\d.]+) · ([\d.]+) · ([\d.]+) = ([\d.]+)", TEXT)
    assert len(products) == 5
    for *factors, final in products:
        assert abs(np.prod([float(factor) for factor in factors]) - float(final)) < 6e-5


def test_the_table_of_fields_is_the_packaged_policy() -> None:
    written: dict[str, Any] = {}
    for section, field, value in re.findall(r"^\| `(\w+)\.(\w+)` \| ([\d.]+) \|", TEXT, re.MULTILINE):
        written.setdefault(section, {})[field] = float(value)
    sections = msgspec.to_builtins(default_policy())
    assert written == {name: fields for name, fields in sections.items() if isinstance(fields, dict)}


def test_the_named_slots_are_where_items_from_outside_may_first_stand() -> None:
    named = [int(slot) for slot in re.findall(r"(?:in|the \w+ in) slot (\d+)", TEXT.split("5. **")[0])]
    outside = np.array([True] * 5 + [False] * 20)
    order = balanced(outside, default_policy().network.out_of_network, 25)
    assert named == (np.flatnonzero(outside[order])[:3] + 1).tolist()


def test_the_table_of_propensities_is_what_is_logged() -> None:
    share, slots, pool = 0.4, 3, 4
    pages = [
        explore(np.arange(20), 20, 6, Exploration(share, pool), f"request-{n}", "salt") for n in range(100)
    ]
    explored = next(page for page in pages if page.slot is not None)
    formulas = re.findall(r"^\| (?:in the lower half, as ranked|explored) \| (.*) \|$", TEXT, re.MULTILINE)
    as_ranked, drawn = (
        eval(formula.replace("−", "-").replace("·", "*"), {"share": share, "slots": slots, "pool": pool})  # noqa: S307
        for formula in formulas
    )
    expected = [1.0] * 3 + [as_ranked] * 3
    assert explored.slot is not None
    expected[explored.slot] = drawn
    assert explored.propensities.tolist() == expected
