"""Running effects: who and what is told apart, and only labels known by then count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.effects import running_effects
from features.ranking_log import Candidates

VARIANCES = {"author": 1.0, "user_author": 1.0}


def rows(author: list[int], label: list[int]) -> Candidates:
    """A request of one row a second, by one reader."""
    count = len(author)
    return Candidates.shown_together(
        request=np.arange(count),
        time=np.arange(count) * 1000,
        user=np.zeros(count, dtype=np.int64),
        author=np.array(author),
        label=np.array(label, dtype=float),
        later=np.zeros(count, dtype=bool),
    )


def test_whoever_is_engaged_with_more_often_has_the_larger_effect() -> None:
    log = rows([0, 1, 2] * 30, [1, 0, 0] * 15 + [1, 0, 1] * 15)
    last = running_effects(log, {"author": log.author}, VARIANCES)["author"][-3:]
    assert last[0] > last[2] > last[1]
    assert last[0] > 0 > last[1]


def test_a_pair_gets_what_its_author_does_not_explain() -> None:
    author = [0, 0, 1, 1] * 40
    pair = np.array([0, 1, 2, 3] * 40)
    log = rows(author, [1, 0, 0, 0] * 40)
    effects = running_effects(log, {"author": log.author, "user_author": pair}, VARIANCES)
    loved, plain = effects["user_author"][-4:-2]
    assert loved > effects["author"][-4] > 0 > plain


def test_before_any_label_no_effect_is_known_to_differ_from_none() -> None:
    log = rows([0, -1, 0], [1, 1, 1])
    late = replace(log, known=log.time + 10_000)
    np.testing.assert_array_equal(
        running_effects(late, {"author": log.author}, VARIANCES)["author"], [0.0, np.nan, 0.0]
    )


@pytest.mark.parametrize("label", [0, 1])
def test_a_label_counts_only_after_its_moment_and_only_if_judged(label: int) -> None:
    log = rows([0, 0, 0], [label, 1, 1])
    log = replace(log, time=np.array([0, 0, 5]), known=np.array([0, 0, 5]), counted=np.array([0, 0, 5]))
    first, second, third = running_effects(log, {"author": log.author}, VARIANCES)["author"]
    assert first == second == 0.0
    assert third != 0.0
    unjudged = replace(log, judged=np.zeros(3, dtype=bool))
    assert running_effects(unjudged, {"author": log.author}, VARIANCES)["author"].tolist() == [0.0, 0.0, 0.0]
