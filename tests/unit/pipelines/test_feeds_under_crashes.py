"""Feeds out of the fan-out code and the store equal a plain model, whatever crashes, comes twice or is lost.

``TIDELINE_SEED`` repeats a run; the seed is printed. ``TIDELINE_EXAMPLES`` is how many histories are tried.
"""

from __future__ import annotations

import random

import pytest
from fan_out_job import SHARES
from feeds_machine import SETTINGS, THRESHOLDS, WIDE_BAND, Feeds, chosen_seed, run_histories
from store_under_test import memory_store

from pipelines.stream import tiers


def test_feeds_equal_the_model_whatever_crashes_or_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "STAYS_PULLED", WIDE_BAND)
    run_histories(lambda: memory_store(SETTINGS), examples=60, steps=40)


def test_feeds_equal_the_model_however_far_the_shares_of_spread_authors_lag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiers, "STAYS_PULLED", WIDE_BAND)
    number = chosen_seed()
    for history in range(40):
        chance, feeds = random.Random(number + history), Feeds(memory_store(SETTINGS))
        feeds.begin(chance, spread_above=chance.choice((2, 3)))
        for _ in range(12):
            feeds.log.live(chance, 4)
            if chance.random() < 0.3:
                feeds.change_the_thresholds(chance.choice(THRESHOLDS))
            keys = sorted(feeds.log.keys)
            chance.shuffle(keys)
            feeds.job.take(feeds.batch(keys, chance.randint(1, 6)))
            for _ in range(chance.randint(0, 2)):
                feeds.tell_a_share(chance.randrange(SHARES))
            if chance.random() < 0.3:
                feeds.let_throttled_deliveries_through(chance.randint(0, SHARES), chance.randint(1, 6))
        feeds.catch_up_and_compare(chance)


def test_an_author_who_was_back_before_a_crash_and_stays_pulled_after_it_is_still_merged_at_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiers, "STAYS_PULLED", WIDE_BAND)
    feeds = Feeds(memory_store(SETTINGS))
    feeds.change_the_thresholds((5, 5))
    for follower in (2, 3, 4, 5, 6):
        feeds.log.follow(follower, 1)
    feeds.job.take(feeds.batch(sorted(feeds.log.keys), 100))
    feeds.complete_a_checkpoint()
    feeds.change_the_thresholds((9, 9))
    feeds.log.follow(1, 1)
    thresholds = [key for key in feeds.log.keys if key[0] == "settings"]
    follows = [key for key in feeds.log.keys if key[0] == "follows"]
    feeds.job.take(feeds.batch(thresholds, 100))
    feeds.let_throttled_deliveries_through(0, 1000)
    feeds.job.take(feeds.batch(follows, 100))
    assert not feeds.job.head.authors.get(1).pulled
    feeds.crash()
    feeds.job.take(feeds.batch(follows, 100))
    feeds.job.take(feeds.batch(thresholds, 100))
    assert feeds.job.head.authors.get(1).pulled
    feeds.log.post(1)
    feeds.catch_up_and_compare(random.Random(0))
