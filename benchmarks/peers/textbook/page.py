"""What is shown with the items of a page: authors, counts, and how the reader stands to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.peers.textbook.shapes import (
    Account,
    AccountCounts,
    AccountViewer,
    Candidate,
    FeedItem,
    ShownTweet,
    TweetCounts,
    TweetViewer,
    User,
)

RETWEETERS_SHOWN = 5


def items(redis: Any, reader: int, candidates: Sequence[Candidate]) -> list[FeedItem]:
    """One item per candidate, in two round trips."""
    if not candidates:
        return []
    users = _users(redis, reader, candidates)
    ids = [candidate.original for candidate in candidates]
    pipe = redis.pipeline(transaction=False)
    pipe.smismember(f"likes:{reader}", ids)
    pipe.smismember(f"retweets:{reader}", ids)
    for tweet in ids:
        pipe.hgetall(f"tweet_counts:{tweet}")
    liked, retweeted, *counts = pipe.execute()
    rows = zip(candidates, counts, liked, retweeted, strict=True)
    return [
        FeedItem(
            tweet=_shown(candidate, users, TweetCounts(**count), TweetViewer(liked=like, retweeted=retweet)),
            appearance_id=str(candidate.appearance),
            position=position,
            source=candidate.source,
            score=candidate.score,
            reason=_reason(candidate),
        )
        for position, (candidate, count, like, retweet) in enumerate(rows)
    ]


def _users(redis: Any, reader: int, candidates: Sequence[Candidate]) -> dict[int, User]:
    """The authors and the retweeters shown, as the reader sees them."""
    shown = {
        user
        for candidate in candidates
        for user in (candidate.original_author, *candidate.retweeters[:RETWEETERS_SHOWN])
    }
    ids = list(shown)
    pipe = redis.pipeline(transaction=False)
    pipe.mget([f"account:{user}" for user in ids])
    for kind in ("following", "muted", "blocked"):
        pipe.smismember(f"{kind}:{reader}", ids)
    for user in ids:
        pipe.hgetall(f"account_counts:{user}")
        pipe.sismember(f"following:{user}", reader)
    accounts, follows, muted, blocked, *others = pipe.execute()
    rows = zip(ids, accounts, others[::2], follows, others[1::2], muted, blocked, strict=True)
    return {
        user: User(
            **Account.model_validate_json(account).model_dump(),
            counts=AccountCounts(**counts),
            viewer=AccountViewer(follows=followed, followed_by=following, muted=is_muted, blocked=is_blocked),
        )
        for user, account, counts, followed, following, is_muted, is_blocked in rows
        if account is not None
    }


def _shown(
    candidate: Candidate, users: dict[int, User], counts: TweetCounts, viewer: TweetViewer
) -> ShownTweet:
    if candidate.tweet is None:
        raise ValueError(f"The tweet {candidate.original} was not looked up.")
    return ShownTweet(
        **candidate.tweet.model_dump(exclude={"author_id", "deleted"}),
        author=users[candidate.original_author],
        counts=counts,
        viewer=viewer,
        retweeted_by=[users[user] for user in candidate.retweeters[:RETWEETERS_SHOWN] if user in users],
    )


def _reason(candidate: Candidate) -> str:
    if candidate.is_retweet:
        return "Retweeted by an account you follow"
    if candidate.source == "celebrity":
        return "From a popular account you follow"
    return "From an account you follow"
