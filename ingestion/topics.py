"""The Kafka topics: what each carries, how it is keyed, spread and kept."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.events import (
    AccountRegistered,
    AuthorHidden,
    AuthorTierChanged,
    BlockChanged,
    ClientReport,
    Event,
    FanOutChanged,
    FollowChanged,
    Impression,
    LikeChanged,
    MarkChanged,
    MuteChanged,
    MutedWordsChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from timelines.durations import DAY_MS


@dataclass(frozen=True)
class Topic:
    """``retention_ms`` of -1 keeps records for ever; topics use log-append time."""

    name: str
    partitions: int
    retention_ms: int
    compacted: bool = False

    def full_name(self, namespace: str) -> str:
        """The name on the broker: recordings kept in their own time have a namespace of their own."""
        return f"{namespace}.{self.name}" if namespace else self.name


USERS = Topic("users", partitions=4, retention_ms=-1, compacted=True)
FOLLOWS = Topic("follows", partitions=4, retention_ms=-1, compacted=True)
RESTRICTIONS = Topic("restrictions", partitions=4, retention_ms=-1, compacted=True)
TWEETS = Topic("tweets", partitions=4, retention_ms=30 * DAY_MS)
ENGAGEMENTS = Topic("engagements", partitions=4, retention_ms=30 * DAY_MS)
IMPRESSIONS = Topic("impressions", partitions=4, retention_ms=30 * DAY_MS)
REPORTS = Topic("reports", partitions=4, retention_ms=30 * DAY_MS)
MARKS = Topic("marks", partitions=1, retention_ms=-1, compacted=True)
SETTINGS = Topic("settings", partitions=1, retention_ms=-1, compacted=True)
DEAD_LETTERS = Topic("dead_letters", partitions=1, retention_ms=90 * DAY_MS)
# What was done with each dead letter: the last word counts.
REDRIVES = Topic("redrives", partitions=1, retention_ms=-1, compacted=True)

EVENT_TOPICS = (USERS, FOLLOWS, RESTRICTIONS, TWEETS, ENGAGEMENTS, IMPRESSIONS, REPORTS)
TOPICS = (*EVENT_TOPICS, MARKS, SETTINGS, DEAD_LETTERS, REDRIVES)


def route(event: Event) -> tuple[Topic, bytes]:
    """The topic an event belongs to and its record key (what is ordered together, and compacted)."""
    match event:
        case AccountRegistered():
            return USERS, b"%d" % event.user_id
        case FollowChanged():
            return FOLLOWS, b"%d:%d" % (event.followee_id, event.follower_id)
        case MuteChanged():
            return RESTRICTIONS, b"%d:%d:mute" % (event.user_id, event.muted_id)
        case BlockChanged():
            return RESTRICTIONS, b"%d:%d:block" % (event.user_id, event.blocked_id)
        case MutedWordsChanged():
            return RESTRICTIONS, b"%d:words" % event.user_id
        case AuthorHidden():
            return RESTRICTIONS, b"%d:%d:hidden" % (event.user_id, event.author_id)
        case TweetCreated() | TweetDeleted():
            return TWEETS, b"%d" % event.author_id
        case RetweetChanged():
            return TWEETS, b"%d" % event.user_id
        case LikeChanged():
            return ENGAGEMENTS, b"%d" % event.tweet_id
        case Impression():
            return IMPRESSIONS, b"%d" % event.user_id
        case ClientReport():
            return REPORTS, b"%d" % event.user_id
        case FanOutChanged():
            return SETTINGS, b"fan_out"
        case AuthorTierChanged():
            return SETTINGS, b"author:%d" % event.author_id
        case MarkChanged():
            # A key of its own for what a person said: compaction would keep a later word of a rule alone.
            who = b":person" if event.by_person else b""
            return MARKS, b"%b:%d%b" % (event.target.encode(), event.target_id, who)
    raise ValueError(f"{type(event).__name__} has no topic of its own.")
