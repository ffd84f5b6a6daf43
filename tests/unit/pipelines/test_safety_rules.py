"""What is taken for spam and fake engagement, on plain logs and on an attack planted in a world."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ingestion.datasets.synthetic import Synthetic
from ingestion.events import AccountRegistered, FollowChanged, LikeChanged, TweetCreated
from ingestion.world.generate import generate, write
from ingestion.world.plan import WorldPlan
from pipelines.stream.safety_rules import (
    Limits,
    Mark,
    Signal,
    fingerprint,
    marks_of,
    signals_of,
    windows_of,
)
from timelines.durations import HOUR_MS

LIMITS = Limits()
NOW = 1_700_000_000_000 // HOUR_MS * HOUR_MS


def post(tweet: int, author: int, text: str, at: int = NOW) -> TweetCreated:
    return TweetCreated(event_id=f"t{tweet}", ts=at, tweet_id=tweet, author_id=author, text=text)


def like(user: int, tweet: int, at: int = NOW) -> LikeChanged:
    return LikeChanged(
        event_id=f"l{user}:{tweet}", ts=at, user_id=user, tweet_id=tweet, author_id=1, active=True
    )


def registered(user: int, at: int) -> AccountRegistered:
    return AccountRegistered(
        event_id=f"a{user}", ts=at, user_id=user, handle=f"u{user}", display_name="", created_at=at
    )


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[list, set]:
    """The events of a world with an attack, and what the attack consists of."""
    folder = tmp_path_factory.mktemp("attacked") / "world"
    world = generate(WorldPlan(users=600, days=2, attackers=60))
    write(world, folder)
    truth = world.tables["truth_attacks"].to_pylist()
    planted = {("account", row["user_id"]) for row in truth}
    planted |= {("tweet", row["tweet_id"]) for row in truth if row["tweet_id"] is not None}
    return list(Synthetic(folder).events({"synthetic": 0})), planted


def test_a_planted_attack_is_found_and_little_else_is(attacked: tuple[list, set]) -> None:
    events, planted = attacked
    found = set(marks_of(signals_of(events, LIMITS), LIMITS))
    assert len(found & planted) / len(found) >= 0.95
    assert len(found & planted) / len(planted) >= 0.8


def test_every_rule_finds_its_part_of_the_attack(attacked: tuple[list, set]) -> None:
    rules = {signal.rule for signal in signals_of(attacked[0], LIMITS)}
    assert rules == {"engagement_rate", "identical_text", "fake_engagement", "follow_churn"}


def test_order_and_repetition_of_the_log_change_no_signal(attacked: tuple[list, set]) -> None:
    events = attacked[0]
    again = [*events, *events[::3]]
    random.Random(5).shuffle(again)
    assert signals_of(again, LIMITS) == signals_of(events, LIMITS)


def test_a_world_without_an_attack_has_next_to_no_marks(tmp_path: Path) -> None:
    write(generate(WorldPlan(users=600, days=2)), tmp_path / "world")
    events = list(Synthetic(tmp_path / "world").events({"synthetic": 0}))
    assert len(marks_of(signals_of(events, LIMITS), LIMITS)) <= 2


def test_texts_that_differ_in_links_names_and_numbers_are_identical() -> None:
    assert fingerprint("Buy NOW! https://a.test/1 @bob #deal 50%") == fingerprint("buy now https://b.test/2")
    assert fingerprint("Приветствуем, мир") == "приветствуем мир"


def test_copies_within_an_hour_are_a_burst_and_over_a_day_are_not() -> None:
    text = "the very same words as everybody"
    burst = [post(number, number % 3, text) for number in range(5)]
    spread = [post(number, number % 3, text, NOW + number * 2 * HOUR_MS) for number in range(5)]
    assert signals_of(burst, LIMITS) == {Signal("identical_text", n % 3, n) for n in range(5)}
    assert signals_of(spread, LIMITS) == set()


def test_short_texts_are_often_the_same_and_no_signal() -> None:
    assert signals_of([post(number, number, "good morning") for number in range(50)], LIMITS) == set()


def test_engagers_of_whom_most_are_young_are_a_signal_and_of_whom_few_are_not() -> None:
    young = [registered(user, NOW - HOUR_MS) for user in range(10)]
    old = [registered(user, NOW - 100 * HOUR_MS) for user in range(10, 40)]
    likes = [like(user, 7) for user in range(10)]
    assert signals_of([*young, *likes], LIMITS) == {Signal("fake_engagement", u, 7) for u in range(10)}
    assert signals_of([*young, *old, *likes, *(like(u, 7) for u in range(10, 40))], LIMITS) == set()
    # Nobody knows how old these are.
    assert signals_of(likes, LIMITS) == set()


def test_leaving_many_accounts_within_an_hour_is_churn() -> None:
    left = [
        FollowChanged(event_id=f"f{number}", ts=NOW, follower_id=1, followee_id=number, active=False)
        for number in range(20)
    ]
    assert signals_of(left, LIMITS) == {Signal("follow_churn", 1, 0)}
    assert signals_of(left[:-1], LIMITS) == set()


def test_the_worst_verdict_stands_and_repeated_tweets_quarantine_their_author() -> None:
    signals = [
        Signal("engagement_rate", 1, 0),
        Signal("identical_text", 1, 5),
        Signal("identical_text", 2, 6),
    ]
    assert marks_of(signals, LIMITS) == {
        ("account", 1): Mark("limit", "engagement_rate"),
        ("tweet", 5): Mark("quarantine", "identical_text"),
        ("tweet", 6): Mark("quarantine", "identical_text"),
    }
    more = [*signals, Signal("identical_text", 1, 8)]
    assert marks_of(more, LIMITS)["account", 1] == Mark("quarantine", "identical_text")


def test_every_moment_lies_in_two_windows() -> None:
    assert windows_of(NOW + 40 * 60_000) == (NOW + HOUR_MS // 2, NOW)
