"""Scores of a caller's own candidates over the in-memory store."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from features.names import MODEL_INPUT, USER_ACTIVITY
from features.rows import encode_row, row_key
from serving.feed.features import FeaturesMissingError
from serving.model_store import Model
from serving.rank import ModelMissingError, Ranker
from serving.shapes import RankAnswer
from training.bundle import Scores

NOW_MS = 1_700_000_000_000
USER = 1


class AgeModel:
    """Scores by age; what is of this very moment it cannot score."""

    def score(self, matrix: Any) -> Scores:
        age = matrix[:, MODEL_INPUT.index("context_age_hours")].astype(np.float64)
        return Scores({"engaged": age / 100}, np.where(age == 0, np.nan, age))


@pytest.fixture
def ranker(world: Any) -> Ranker:
    for tweet in (10, 20):
        world.tweet(tweet, 7)
    world.tweet(30, 8)
    world.delete(30, 8)
    world.models.current = Model(AgeModel(), "ranker@3")  # type: ignore[arg-type]
    row = encode_row(USER_ACTIVITY, NOW_MS - 1000, [1.0] * len(USER_ACTIVITY.columns))
    world.client.set(row_key(world.keys, USER_ACTIVITY, [USER]), row)
    return made(world, NOW_MS + 7_200_000)


def made(world: Any, now_ms: int) -> Ranker:
    feed = world.feed
    return Ranker(feed.stores.reads, feed.models, lambda: now_ms, lambda view, count: None)


def rank(ranker: Ranker, *tweets: int, user: int = USER) -> RankAnswer:
    return asyncio.run(ranker.rank(user, tweets))


def test_known_tweets_are_scored_in_the_order_asked_for_and_others_are_named(ranker: Ranker) -> None:
    answer = rank(ranker, 20, 99, 10, 30, 20)
    assert answer["model"] == "ranker@3"
    assert [(item["id"], item["score"]) for item in answer["items"]] == [("20", 2.0), ("10", 2.0)]
    assert answer["items"][0]["probabilities"] == {"engaged": pytest.approx(0.02)}
    assert answer["unknown"] == ["99", "30"]


def test_nothing_known_is_no_error(ranker: Ranker) -> None:
    assert rank(ranker, 99) == {"model": "ranker@3", "items": [], "unknown": ["99"]}


def test_a_score_that_is_no_number_is_none(world: Any, ranker: Ranker) -> None:
    assert rank(made(world, NOW_MS), 10)["items"][0]["score"] is None


def test_without_a_model_or_any_feature_nothing_is_scored(world: Any, ranker: Ranker) -> None:
    with pytest.raises(FeaturesMissingError):
        rank(ranker, 10, user=2)
    world.models.current = None
    with pytest.raises(ModelMissingError):
        rank(ranker, 10)
