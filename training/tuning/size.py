"""How much work a bundle's trees are, counted instead of timed: the same trees give the same figure."""

from __future__ import annotations

from typing import Any

import lightgbm

from training.bundle import Bundle, Matrix
from training.latency import HEAD_ROWS, LIGHT_ROWS, PLAIN_ROWS, plain_head


def plain_work(rows: Matrix) -> float:
    """Decisions of the plain head on its rows: what :func:`relative_size` is relative to."""
    return PLAIN_ROWS * decisions(plain_head(rows))


def relative_size(bundle: Bundle, plain: float) -> float:
    """Decisions of a page (light ranker on 500 rows, heads on 150) over those of the plain head.

    The measured ratio (:func:`training.latency.scoring_cost`) is about 0.35 more: calls cost, too,
    and so do the linear parts.
    """
    heads = sum(decisions(booster) for booster in bundle.boosters.values())
    if bundle.light is None:
        return LIGHT_ROWS * heads / plain
    return (LIGHT_ROWS * decisions(bundle.light) + HEAD_ROWS * heads) / plain


def decisions(booster: lightgbm.Booster) -> float:
    """Decisions that a row passes in all trees, mean over the rows that the trees grew from."""
    return sum(_mean_depth(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"])


def _mean_depth(tree: dict[str, Any]) -> float:
    """A row passes one decision at each inner node that it comes to."""
    waiting, passed = [tree], 0
    while waiting:
        node = waiting.pop()
        if "left_child" in node:
            passed += int(node["internal_count"])
            waiting += [node["left_child"], node["right_child"]]
    return passed / int(tree["internal_count"]) if passed else 0.0
