"""What is timed of a bundle, and beside what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from training.bundle import Matrix
from training.latency import candidates, plain_head, score_page, scoring_cost
from training.manifest import ScoringCost

ROWS = np.random.default_rng(0).random((300, 4), dtype=np.float32)


@dataclass
class Asked:
    """A bundle that notes how many rows it is asked to score."""

    light: object | None = "a light ranker"
    rows: list[tuple[str, int]] = field(default_factory=list)

    def light_score(self, matrix: Matrix) -> None:
        self.rows.append(("light", len(matrix)))

    def score(self, matrix: Matrix) -> None:
        self.rows.append(("heads", len(matrix)))


def asked(bundle: Any) -> Any:
    return bundle


def test_a_page_is_500_rows_for_the_light_ranker_and_150_for_the_heads() -> None:
    bundle = Asked()
    score_page(asked(bundle), candidates(ROWS, 500))
    assert bundle.rows == [("light", 500), ("heads", 150)]


def test_without_a_light_ranker_the_heads_score_all() -> None:
    bundle = Asked(light=None)
    score_page(asked(bundle), candidates(ROWS, 500))
    assert bundle.rows == [("heads", 500)]


def test_rows_begin_again_where_there_are_too_few() -> None:
    assert candidates(ROWS, 500)[300:].tolist() == ROWS[:200].tolist()
    assert candidates(ROWS, 20).tolist() == ROWS[:20].tolist()


def test_the_plain_head_has_200_full_trees_of_31_leaves() -> None:
    trees = plain_head(ROWS).dump_model()["tree_info"]
    assert [tree["num_leaves"] for tree in trees] == [31] * 200


def test_the_warm_up_does_not_count() -> None:
    bundle = Asked()
    cost = scoring_cost(asked(bundle), ROWS, repeats=2)
    assert bundle.rows == [("light", 500), ("heads", 150)] * 3
    assert cost.plain_ms > 0


def test_the_ratio_is_of_the_page_to_the_plain_head() -> None:
    assert ScoringCost(page_ms=9.0, plain_ms=6.0).ratio == pytest.approx(1.5)
