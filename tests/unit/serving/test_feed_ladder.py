"""What the feed does when ranking cannot answer, and what it logs."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from redis.exceptions import ConnectionError as RedisConnectionError

from features.names import FEATURE_SERVICE, MODEL_INPUT, USER_ACTIVITY
from features.rows import encode_row, row_key
from serving.feed.chronological import FeedUnavailableError
from serving.model_store import Model
from training.bundle import Scores


class AgeModel:
    """Scores by age alone, oldest first: the opposite of chronological."""

    features = MODEL_INPUT
    weights = {"engaged": 2.0}
    light: object | None = None

    def score(self, matrix: Any) -> Scores:
        age = matrix[:, MODEL_INPUT.index("context_age_hours")].astype(np.float64)
        return Scores({"engaged": age / 1e6}, age)


class Broken:
    """A client whose every command fails, or only those named."""

    def __init__(self, inner: Any, commands: tuple[str, ...]) -> None:
        self._inner = inner
        self._commands = commands

    def __getattr__(self, command: str) -> Any:
        if command in self._commands:
            raise RedisConnectionError("down")
        return getattr(self._inner, command)


@pytest.fixture
def ranking(world: Any) -> Any:
    """A world with a model, a feature row of the reader, and five tweets."""
    world.follow(7)
    for place, tweet_id in enumerate((10, 20, 30, 40, 50)):
        world.tweet(tweet_id, 7, body=False)
        world.write(_body, tweet_id, place)
    world.models.current = Model(AgeModel(), "ranker@3")  # type: ignore[arg-type]
    row = encode_row(USER_ACTIVITY, 1_699_999_000_000, [1.0] * len(USER_ACTIVITY.columns))
    world.client.set(row_key(world.keys, USER_ACTIVITY, [world.reader]), row)
    return world


def _body(pipe: Any, keys: Any, tweet_id: int, place: int) -> None:
    from timelines.bodies import TweetBody
    from timelines.commands import put_body

    put_body(pipe, keys, TweetBody(tweet_id, 7, "text", 1_699_900_000_000 + place * 3_600_000))


def ids(answer: Any) -> list[int]:
    found: list[int] = answer.items.original.tolist()
    return found


def test_the_full_rung_orders_by_the_models_score(ranking: Any) -> None:
    answer = ranking.page("ranked", limit=5)
    assert ids(answer) == [10, 20, 30, 40, 50]
    assert (answer.rung, answer.reason, answer.model) == ("full", None, "ranker@3")


def test_ranked_pages_scroll_through_the_ranking_of_the_first_page(ranking: Any) -> None:
    first = ranking.page("ranked", limit=2)
    ranking.tweet(60, 7)
    ranking.models.current = None
    second = ranking.page("ranked", limit=2, cursor=first.next_cursor)
    third = ranking.page("ranked", limit=2, cursor=second.next_cursor)
    assert ids(first) + ids(second) + ids(third) == [10, 20, 30, 40, 50]
    assert third.next_cursor is None
    assert second.model == "ranker@3"


def test_a_tweet_deleted_between_two_ranked_pages_is_gone_and_nothing_is_skipped(ranking: Any) -> None:
    first = ranking.page("ranked", limit=2)
    ranking.delete(30, 7)
    second = ranking.page("ranked", limit=2, cursor=first.next_cursor)
    assert ids(second) == [40, 50]


def test_own_tweets_are_left_out_of_the_ranking(ranking: Any) -> None:
    ranking.tweet(60, ranking.reader)
    answer = ranking.page("ranked", limit=10)
    assert 60 not in ids(answer)
    assert answer.removed["own_tweets"] == 1


def test_without_a_model_the_feed_is_chronological_and_says_so(ranking: Any) -> None:
    ranking.models.current = None
    answer = ranking.page("ranked")
    assert ids(answer) == [50, 40, 30]
    assert (answer.rung, answer.reason) == ("chronological", "model_unavailable")


def test_the_reason_stays_while_a_fallback_is_scrolled(ranking: Any) -> None:
    ranking.models.current = None
    first = ranking.page("ranked", limit=2)
    ranking.models.current = Model(AgeModel(), "ranker@4")  # type: ignore[arg-type]
    second = ranking.page("ranked", limit=2, cursor=first.next_cursor)
    assert ids(second) == [30, 20]
    assert (second.rung, second.reason) == ("chronological", "model_unavailable")


def test_without_any_feature_row_the_feed_is_chronological_and_says_so(ranking: Any) -> None:
    ranking.client.delete(row_key(ranking.keys, USER_ACTIVITY, [ranking.reader]))
    answer = ranking.page("ranked")
    assert (answer.rung, answer.reason) == ("chronological", "features_unavailable")


def test_when_time_runs_out_the_feed_is_chronological_and_says_so(ranking: Any) -> None:
    ranking.feed = dataclasses.replace(
        ranking.feed, limits=dataclasses.replace(ranking.feed.limits, deadline_seconds=-1.0)
    )
    answer = ranking.page("ranked")
    assert ids(answer) == [50, 40, 30]
    assert (answer.rung, answer.reason) == ("chronological", "deadline")


def test_with_nothing_to_rank_the_feed_says_so(world: Any) -> None:
    world.models.current = Model(AgeModel(), "ranker@3")  # type: ignore[arg-type]
    world.tweet(10, world.reader)
    answer = world.page("ranked")
    assert ids(answer) == [10]
    assert (answer.rung, answer.reason) == ("chronological", "no_candidates")


def test_when_only_the_ranking_cannot_be_kept_the_feed_is_chronological(ranking: Any) -> None:
    snapshots = dataclasses.replace(
        ranking.feed.snapshots, redis=Broken(ranking.feed.snapshots.redis, ("set",))
    )
    ranking.feed = dataclasses.replace(ranking.feed, snapshots=snapshots)
    answer = ranking.page("ranked", limit=2)
    assert (answer.rung, answer.reason) == ("chronological", "redis_unavailable")


def test_when_the_timelines_cannot_be_read_there_is_one_clear_error(ranking: Any) -> None:
    ranking.feed.stores.home._redis = Broken(ranking.feed.stores.redis, ("pipeline",))
    for algorithm in ("ranked", "chronological"):
        with pytest.raises(FeedUnavailableError):
            ranking.page(algorithm)


def test_impressions_carry_what_was_served_in_the_order_it_was_served(ranking: Any) -> None:
    answer = ranking.page("ranked", limit=2)
    logged = ranking.impressions
    assert [(i.tweet_id, i.position, i.rung, i.model, i.source) for i in logged] == [
        (10, 0, "full", "ranker@3", "following"),
        (20, 1, "full", "ranker@3", "following"),
    ]
    assert {i.request_id for i in logged} == {answer.request_id}
    assert [i.score for i in logged] == answer.items.score.tolist()
    assert logged[0].feature_service == FEATURE_SERVICE
    vector = dict(zip(MODEL_INPUT, logged[0].features, strict=True))
    assert vector["user_impressions"] == 1.0
    assert vector["tweet_likes"] is None


def test_chronological_impressions_have_no_model_score_or_features(ranking: Any) -> None:
    ranking.page("chronological", limit=1)
    impression = ranking.impressions[0]
    assert (impression.rung, impression.model, impression.score, impression.features) == (
        "chronological",
        None,
        None,
        None,
    )


def test_impressions_of_later_pages_go_on_under_the_same_request(ranking: Any) -> None:
    first = ranking.page("ranked", limit=2)
    ranking.page("ranked", limit=2, cursor=first.next_cursor)
    logged = ranking.impressions
    assert [i.position for i in logged] == [0, 1, 2, 3]
    assert {i.request_id for i in logged} == {first.request_id}
    assert logged[3].features is not None


def test_impressions_carry_the_policy_and_the_chance_that_each_item_had_to_stand_there(ranking: Any) -> None:
    sure = dataclasses.replace(ranking.feed, policy=always_exploring(ranking.feed.policy))
    ranking.feed = sure
    first = ranking.page("ranked", limit=2)
    ranking.page("ranked", limit=2, cursor=first.next_cursor)
    logged = ranking.impressions
    assert {i.policy for i in logged} == {"always"}
    # Slot 1 gets one of the three below the page for sure; what follows the page is sure as well.
    assert [i.propensity for i in logged] == [1.0, pytest.approx(1 / 3), 1.0, 1.0]


def test_the_contested_slot_logs_what_else_could_have_stood_there_and_its_chance(ranking: Any) -> None:
    never = replace(always_exploring(ranking.feed.policy).exploration, share=0.0)
    ranking.feed = dataclasses.replace(ranking.feed, policy=replace(ranking.feed.policy, exploration=never))
    first = ranking.page("ranked", limit=2)
    ranking.page("ranked", limit=2, cursor=first.next_cursor)
    ranked, contested, *later = ranking.impressions
    assert (ranked.alternative, contested.alternative_propensity) == (None, 0.0)
    assert contested.alternative not in (ranked.tweet_id, contested.tweet_id)
    assert [i.alternative for i in later] == [None, None]
    assert len(contested.alternative_features) == len(contested.features)


def test_what_was_drawn_against_is_what_an_exploring_page_shows(ranking: Any) -> None:
    sure = forgetful(always_exploring(ranking.feed.policy))
    never = replace(sure, exploration=replace(sure.exploration, share=0.0))
    pages = []
    for policy in (never, sure):
        ranking.feed = dataclasses.replace(
            ranking.feed,
            policy=policy,
            clock=dataclasses.replace(ranking.feed.clock, request_id=lambda: "7" * 32),
        )
        ranking.page("ranked", limit=2)
        pages.append(ranking.impressions[-1])
    assert (pages[0].alternative, pages[0].alternative_author) == (pages[1].tweet_id, pages[1].author_id)
    assert (pages[1].alternative, pages[1].alternative_author) == (pages[0].tweet_id, pages[0].author_id)
    assert pages[0].alternative_features == pages[1].features


def forgetful(policy: Any) -> Any:
    """What was served before changes nothing."""
    memory = replace(policy.memory, served_minutes=0.0)
    return replace(policy, memory=memory, diversity=replace(policy.diversity, carry_minutes=0.0))


def always_exploring(policy: Any) -> Any:
    exploration = replace(policy.exploration, share=1.0, depth=3)
    return replace(policy, version="always", exploration=exploration)


def test_a_page_that_no_policy_ordered_has_neither_policy_nor_propensity(ranking: Any) -> None:
    ranking.page("chronological", limit=1)
    (impression,) = ranking.impressions
    assert (impression.policy, impression.propensity) == (None, None)


def test_a_request_that_is_not_drawn_logs_its_model_without_features(ranking: Any) -> None:
    ranking.feed.impressions.feature_share = 0.0
    first = ranking.page("ranked", limit=2)
    ranking.page("ranked", limit=2, cursor=first.next_cursor)
    logged = ranking.impressions
    assert {(i.model, i.feature_service, i.features) for i in logged} == {("ranker@3", None, None)}
    assert [i.alternative_features for i in logged] == [None] * 4
    assert len(logged) == 4


def test_the_requests_that_log_features_are_the_share_and_always_the_same(ranking: Any) -> None:
    impressions = ranking.feed.impressions
    names = [f"{number:032x}" for number in range(2000)]
    assert all(map(impressions.with_features, names))
    impressions.feature_share = 0.3
    drawn = [*map(impressions.with_features, names)]
    assert sum(drawn) == pytest.approx(600, abs=80)
    assert drawn == [*map(impressions.with_features, names)]


def test_impressions_that_the_log_does_not_take_are_counted_and_the_page_is_served(ranking: Any) -> None:
    ranking.publisher.available = False
    answer = ranking.page("ranked", limit=2)
    assert ids(answer) == [10, 20]
    assert len(ranking.dropped) == 2
    assert "down" in ranking.feed.impressions.problem


def test_delta_counts_what_appeared_since(ranking: Any) -> None:
    count, items = asyncio.run(ranking.feed.delta(ranking.reader, 30, 1))
    assert count == 2
    assert items.original.tolist() == [50]
