"""The most popular tweets, over the in-memory store, a Valkey and a cluster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from features.names import WINDOWS
from timelines import popular
from timelines.popular import KEPT, TAU_MS

NOW_MS = 1_700_000_000_000


def offer(store: Any, *offers: tuple[int, float, int]) -> None:
    tweets, engagements, moments = zip(*offers, strict=True)
    pipe = store.client.pipeline(transaction=False)
    popular.offer(pipe, store.keys, np.array(tweets), np.array(engagements), np.array(moments))
    pipe.execute()


def best(store: Any, count: int) -> list[int]:
    async def ask(client: Any) -> Any:
        pipe = client.pipeline(transaction=False)
        popular.queue(pipe, store.keys, count)
        return popular.decode((await pipe.execute())[0])

    found: list[int] = store.run(ask).tolist()
    return found


def test_nothing_is_popular_at_first(store: Any) -> None:
    assert best(store, 10) == []


def test_more_engagement_at_the_same_moment_stands_higher(store: Any) -> None:
    offer(store, (10, 5.0, NOW_MS), (11, 7.0, NOW_MS), (12, 1.0, NOW_MS))
    assert best(store, 2) == [11, 10]


def test_an_older_engagement_counts_what_is_left_of_it(store: Any) -> None:
    left = np.exp(-3_600_000 / TAU_MS)
    offer(store, (10, 10.0, NOW_MS - 3_600_000), (11, 10.0 * left * 1.01, NOW_MS), (12, 9.0, NOW_MS))
    assert best(store, 3) == [11, 10, 12]


def test_offers_may_repeat_and_come_in_any_order(store: Any) -> None:
    for _ in range(2):
        offer(store, (10, 9.0, NOW_MS), (11, 5.0, NOW_MS))
        offer(store, (10, 2.0, NOW_MS - 1000))
    assert best(store, 5) == [10, 11]


def test_without_engagement_left_nothing_is_offered(store: Any) -> None:
    offer(store, (10, 0.0, NOW_MS))
    assert best(store, 5) == []


def test_only_the_best_are_kept(store: Any) -> None:
    for start in range(0, KEPT + 40, 20):
        offer(store, *((number, 1.0 + number, NOW_MS) for number in range(start + 1, start + 21)))
    assert len(best(store, 2 * KEPT)) == KEPT
    assert best(store, 1) == [KEPT + 40]


def test_the_lifetime_is_that_of_the_features(store: Any) -> None:
    assert pytest.approx(WINDOWS["24h"] * 1000) == TAU_MS
