"""``tideline ranking costs`` on a tiny world: Spark, Feast and LightGBM, no stack."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from serving.feed.policy import default_policy
from serving.feed.rule_costs import NEUTRAL
from stack.cli import app

pytestmark = pytest.mark.spark


def test_the_costs_of_rungs_and_rules_are_printed() -> None:
    answer = CliRunner().invoke(app, ["ranking", "costs", "--users", "60", "--days", "3", "--json"])
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert found["policy"] == default_policy().version
    assert list(found["rungs"]) == ["full", "reduced", "light", "chronological"]
    assert list(found["rules"]) == ["none", *NEUTRAL, "all"]
    assert found["rules"]["none"]["ndcg_10"] == found["rungs"]["full"]["ndcg_10"]
    for row in (*found["rungs"].values(), *found["rules"].values()):
        gain, low, high = row["ndcg_10"]
        assert 0 <= low <= gain <= high <= 1
