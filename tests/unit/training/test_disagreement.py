"""Where two models disagree: the spread of their scores, and the lists that they order most unlike."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from training.bundle import Bundle, Scores
from training.comparison import compare
from training.dataset import Examples, prepare, time_split
from training.disagreement import disputed_lists, feature_effects, spreads
from training.heads import HeadParameters
from training.manifest import ScoringCost
from training.metrics import places
from training.side_by_side import SideBySide
from training.tables import beside
from training.train import TrainingPlan, fit

PLAN = TrainingPlan(head=HeadParameters(trees=20, leaves=7), light=HeadParameters(trees=2, leaves=2))

Make = Callable[..., pd.DataFrame]


@dataclass(frozen=True)
class Two:
    """A model, and one of examples in which the hour says what affinity says to the first."""

    bundles: tuple[Bundle, Bundle]
    scores: tuple[Scores, Scores]
    examples: Examples


@pytest.fixture(scope="module")
def two(examples_frame: Make) -> Two:
    frame = examples_frame()
    swapped = frame.rename(
        columns={"pair_engagement_rate": "context_hour", "context_hour": "pair_engagement_rate"}
    )
    bundles = tuple(
        fit("tried", time_split(prepare(part)), "0" * 64, PLAN, lambda step: None)[0]
        for part in (frame, swapped)
    )
    test = time_split(prepare(frame)).test
    return Two(bundles, tuple(bundle.score(test.matrix) for bundle in bundles), test)


def test_the_same_order_is_disputed_nowhere(two: Two) -> None:
    same = two.scores[0]
    assert disputed_lists((two.bundles[0], two.bundles[0]), (same, same), two.examples) == []


def test_the_most_disputed_lists_come_first_with_the_items_that_moved_most(two: Two) -> None:
    found = disputed_lists(two.bundles, two.scores, two.examples, lists=4, items=3)
    assert len(found) == 4
    distances = [part.distance for part in found]
    assert distances == sorted(distances, reverse=True)
    frame = two.examples.frame
    orders = [places(two.examples.requests, scores.score) for scores in two.scores]
    for part in found:
        rows = np.flatnonzero((frame["request_id"] == part.request).to_numpy())
        assert part.items == len(rows)
        for item in part.moved:
            (row,) = (row for row in rows if frame["tweet"].iloc[row] == item.tweet)
            assert item.places == (orders[0][row], orders[1][row])
            assert item.places[0] != item.places[1]
            assert ("engaged" in item.labels) == (frame["label_engaged"].iloc[row] > 0)
        moves = [
            abs(1 / np.log2(item.places[0] + 2) - 1 / np.log2(item.places[1] + 2)) for item in part.moved
        ]
        assert moves == sorted(moves, reverse=True)


def test_what_moved_an_item_is_the_feature_that_the_models_read_differently(two: Two) -> None:
    found = disputed_lists(two.bundles, two.scores, two.examples, lists=5, items=3, reasons=2)
    named = [reason.feature for part in found for item in part.moved for reason in item.reasons]
    assert {"pair_engagement_rate", "context_hour"} <= set(named)
    assert sum(name in ("pair_engagement_rate", "context_hour") for name in named) > 0.7 * len(named)
    frame = two.examples.frame
    for part in found:
        for item in part.moved:
            row = frame[(frame["request_id"] == part.request) & (frame["tweet"] == item.tweet)].iloc[0]
            for reason in item.reasons:
                value = row[reason.feature]
                assert reason.value == (None if np.isnan(value) else pytest.approx(float(value)))


def test_effects_are_relative_to_the_list_and_follow_the_score(two: Two) -> None:
    bundle, scores = two.bundles[0], two.scores[0]
    rows = np.flatnonzero(two.examples.requests == 0)
    part = Examples(two.examples.frame.iloc[rows].reset_index(drop=True))
    chances = {head: values[rows] for head, values in scores.probabilities.items()}
    effects = feature_effects(bundle, part, chances)
    assert effects.shape == (len(rows), len(bundle.features))
    np.testing.assert_allclose(effects.mean(axis=0), 0, atol=1e-12)
    assert np.corrcoef(effects.sum(axis=1), scores.score[rows])[0, 1] > 0.8


def test_the_terminal_shows_spreads_and_disputed_lists_in_eighty_columns(two: Two) -> None:
    disputed = disputed_lists(two.bundles, two.scores, two.examples)
    found = SideBySide(
        versions=("12", "11"),
        bundles=two.bundles,
        examples=two.examples,
        scores=two.scores,
        comparison=compare(*two.scores, two.examples, 1),
        costs=(ScoringCost(2.0, 4.0), ScoringCost(3.0, 4.0)),
        spreads=spreads(*two.scores),
        disputed=disputed,
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(beside(found))
    shown = console.export_text()
    for part in disputed:
        assert f"Disputed: list {part.request} of reader {part.reader}" in shown
        for item in part.moved:
            assert f"tweet {item.tweet} " in shown
            assert f"place {item.places[0] + 1} " in shown
            assert all(f"  {reason.feature} " in shown for reason in item.reasons)
    assert f"{np.median(two.scores[0].score):.4f}" in shown


def test_spreads_are_of_the_score_and_of_each_head_that_both_have(two: Two) -> None:
    first, second = two.scores
    fewer = Scores({"retweeted": second.probabilities["retweeted"]}, second.score)
    found = spreads(first, fewer)
    assert set(found) == {"score", "retweeted"}
    assert found["score"].first[3] == np.median(first.score)
    assert found["retweeted"].second[0] == np.quantile(second.probabilities["retweeted"], 0.01)
