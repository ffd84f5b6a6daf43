"""Which records the trends job counts."""

from __future__ import annotations

from ingestion.events import TweetCreated, encode
from pipelines.trends.posts import read


def tweet(author: int, ts: int) -> bytes:
    return encode(TweetCreated(event_id="e", ts=ts, tweet_id=5, author_id=author, text="word"))


def test_posts_that_other_jobs_put_aside_are_not_counted() -> None:
    bad = [tweet(-5, 1), tweet(1 << 56, 1), tweet(1, -1), tweet(1, 1 << 63), b"{", None]
    assert [post.author_id for post in read([*bad, tweet(7, 3)]).public] == [7]
    assert read(bad).newest == 0
