from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks.feed_textbook import LIMIT, better, require_alike
from benchmarks.harness import BenchmarkRefusedError
from benchmarks.peers.textbook.feed import diversified
from benchmarks.peers.textbook.shapes import Candidate, Tweet
from serving.feed.by_policy import topics_of_hashtags
from serving.feed.policy import default_policy
from serving.feed.selection import Recent, Scored, select

PAGE = [str(number) for number in range(LIMIT)]


def candidate(appearance: int, author: int, score: float, hashtags: list[str]) -> Candidate:
    tweet = Tweet(
        id=str(appearance),
        author_id=author,
        text="",
        created_at=datetime.fromtimestamp(0, UTC),
        hashtags=hashtags,
    )
    return Candidate(
        appearance=appearance,
        author=author,
        original=appearance,
        original_author=author,
        source="following",
        tweet=tweet,
        score=score,
    )


def test_the_textbook_orders_as_our_selection_does() -> None:
    rng = np.random.default_rng(3)
    n = 150
    scores = np.sort(rng.random(n))[::-1]
    authors = rng.integers(1, 12, n)
    tags = [[f"Tag{tag}" for tag in rng.integers(0, 6, rng.integers(0, 4))] for _ in range(n)]
    ids = rng.permutation(n) + 1
    topics = np.array([topics_of_hashtags(some) for some in tags], dtype=np.int64)
    scored = Scored(ids, authors, topics, np.zeros(n, dtype=np.bool_), scores)
    ours = select(scored, Recent(), default_policy())
    rows = zip(ids.tolist(), authors.tolist(), scores.tolist(), tags, strict=True)
    theirs = diversified([candidate(*row) for row in rows], default_policy().diversity)
    assert [one.appearance for one in theirs] == ids[ours.order].tolist()
    assert [one.score for one in theirs] == pytest.approx(ours.scores[ours.order].tolist())


def test_the_better_peer_counts_and_both_are_told() -> None:
    figures = better(
        {"one_thread": {"rps": 6.0, "p50_ms": 9.0}, "default_threads": {"rps": 5.0, "p50_ms": 8.0}}
    )
    assert figures == {"rps": 6.0, "p50_ms": 9.0, "one_thread_rps": 6.0, "default_threads_rps": 5.0}


def test_pages_may_differ_in_a_few_places() -> None:
    require_alike(PAGE, [*PAGE[:-5], "a", "b", "c", "d", "e"])


@pytest.mark.parametrize(
    "theirs", [PAGE[:-1], [], [*PAGE[:-6], "a", "b", "c", "d", "e", "f"]], ids=["short", "empty", "other"]
)
def test_pages_that_are_short_or_others_are_refused(theirs: list[str]) -> None:
    with pytest.raises(BenchmarkRefusedError, match="they share"):
        require_alike(PAGE, theirs)
