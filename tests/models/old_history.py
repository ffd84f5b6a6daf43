"""The events behind the old savepoint: the same events, and so the same offsets, whenever written."""

from __future__ import annotations

from ingestion.events import Event, FollowChanged, TweetCreated

NAMESPACE = "older"
AUTHOR, NEWCOMER = 1, 900
FOLLOWERS = range(10, 22)
TWEETS = range(1_000, 1_020)


def history() -> list[Event]:
    """Twelve accounts follow one, which then posts twenty tweets."""
    return [*(follow(follower) for follower in FOLLOWERS), *(tweet(number) for number in TWEETS)]


def follow(follower: int) -> FollowChanged:
    return FollowChanged(
        event_id=f"f{follower}", ts=follower, follower_id=follower, followee_id=AUTHOR, active=True
    )


def tweet(number: int) -> TweetCreated:
    return TweetCreated(event_id=f"t{number}", ts=number, tweet_id=number, author_id=AUTHOR, text="old words")
