"""A log of all that may happen to a few tweets and accounts, and its fold written down the plain way."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

from features.aggregates import ACCOUNT, SHOWING, TWEET, EngagementFold, TallyKind, decayed
from features.names import AFFINITY_S
from ingestion.events import (
    ClientReport,
    Event,
    FollowChanged,
    Impression,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.topics import ENGAGEMENTS, FOLLOWS, IMPRESSIONS, REPORTS, TWEETS, Topic

MINUTE = 60_000
HOUR = 60 * MINUTE
START = 1_350_000_000_000 // HOUR * HOUR
END = START + 20 * HOUR
USERS, TWEETS_MADE = range(900, 908), range(10, 22)
AUTHOR = {tweet: 900 + tweet % 4 for tweet in TWEETS_MADE}


def random_log() -> list[Event]:
    """Everything that may happen to a few tweets and accounts: given, taken back, given again, deleted."""
    dice = random.Random(7)
    log: list[Event] = []

    def stamp() -> dict[str, Any]:
        # Minutes, so that many changes of one edge share their millisecond.
        return {"event_id": f"e{len(log)}", "ts": START + dice.randrange(20 * 60) * MINUTE}

    for tweet in TWEETS_MADE:
        about = dice.choice([None, *TWEETS_MADE])
        quoted = dice.choice([None, None, *TWEETS_MADE])
        log.append(
            TweetCreated(
                **stamp(),
                tweet_id=tweet,
                author_id=AUTHOR[tweet],
                text="",
                in_reply_to=None if about == tweet else about,
                quote_of=None if quoted == tweet else quoted,
            )
        )
    for _ in range(300):
        tweet, user = dice.choice(TWEETS_MADE), dice.choice(USERS)
        edge = {"user_id": user, "tweet_id": tweet, "author_id": AUTHOR[tweet]}
        active = dice.random() < 0.6
        page = {"user_id": user, "tweet_id": tweet, "position": 0}
        log.append(
            dice.choice(
                [
                    LikeChanged(**stamp(), **edge, active=active),
                    RetweetChanged(**stamp(), **edge, retweet_id=1000 + len(log), active=active),
                    FollowChanged(**stamp(), follower_id=user, followee_id=dice.choice(USERS), active=active),
                    Impression(
                        **stamp(),
                        **page,
                        request_id=f"r{dice.randrange(40)}",
                        author_id=AUTHOR[tweet],
                        source="home",
                        rung="chronological",
                    ),
                    ClientReport(
                        **stamp(),
                        **page,
                        feed_request_id=f"r{dice.randrange(40)}",
                        action=dice.choice(["open", "open", "shown"]),
                    ),
                ]
            )
        )
    for tweet in (11, 12, 15):
        log.append(TweetDeleted(**stamp(), tweet_id=tweet, author_id=AUTHOR[tweet]))
    return log


def topic_of(event: Event) -> Topic:
    match event:
        case LikeChanged():
            return ENGAGEMENTS
        case FollowChanged():
            return FOLLOWS
        case Impression():
            return IMPRESSIONS
        case ClientReport():
            return REPORTS
    return TWEETS


class Expected:
    """The fold of a log, written down the plain way: every edge by its last word."""

    def __init__(self, log: list[Event]) -> None:
        self.folds: dict[tuple[TallyKind, int], EngagementFold] = {}
        self.pairs: dict[tuple[int, int], dict[Any, tuple[int, str, bool]]] = defaultdict(dict)
        posts: dict[int, TweetCreated] = {e.tweet_id: e for e in log if isinstance(e, TweetCreated)}
        deleted = {e.tweet_id: e for e in log if isinstance(e, TweetDeleted)}
        firsts: dict[tuple[str, int, str], int] = defaultdict(lambda: 1 << 62)
        for event in log:
            match event:
                case LikeChanged():
                    self.edge(TWEET, event.tweet_id, "likes", event.user_id, event)
                    self.act(event.user_id, event.author_id, ("like", event.tweet_id), event)
                case RetweetChanged():
                    self.edge(TWEET, event.tweet_id, "retweets", event.user_id, event)
                    edge = ("retweet", event.user_id, event.tweet_id)
                    self.act(event.user_id, event.author_id, edge, event)
                    self.edge(ACCOUNT, event.user_id, "tweets", edge, event)
                case FollowChanged():
                    self.edge(ACCOUNT, event.followee_id, "followers", event.follower_id, event)
                    self.edge(ACCOUNT, event.follower_id, "following", event.followee_id, event)
                case Impression():
                    first = ("impressions", event.tweet_id, event.request_id)
                    firsts[first] = min(firsts[first], event.ts)
                case ClientReport(action="open"):
                    first = ("clicks", event.tweet_id, event.feed_request_id)
                    firsts[first] = min(firsts[first], event.ts)
        for (slot, tweet, page), ts in firsts.items():
            self.fold(SHOWING, tweet).apply(slot, page, ts, "", True)
        for tweet, post in posts.items():
            end = deleted.get(tweet)
            # A deletion is the last word whenever it was said; it tells no parent newer numbers.
            self.fold(ACCOUNT, post.author_id).apply(
                "tweets", tweet, end.ts if end else post.ts, "", end is None
            )
            for slot, about in (("replies", post.in_reply_to), ("quotes", post.quote_of)):
                if about is not None and end is None:
                    self.fold(TWEET, about).apply(slot, tweet, post.ts, "", True)
                    author = posts[about].author_id
                    self.fold(ACCOUNT, author).apply("received", (slot, tweet), post.ts, "", True)
                    self.pairs[post.author_id, author][slot, tweet] = (post.ts, "", True)

    def fold(self, kind: TallyKind, owner: int) -> EngagementFold:
        return self.folds.setdefault((kind, owner), EngagementFold(kind))

    def act(self, user: int, author: int, edge: Any, event: Any) -> None:
        self.edge(ACCOUNT, author, "received", (user, edge), event)
        last = self.pairs[user, author]
        if (event.ts, event.event_id) > last.get(edge, (-1, ""))[:2]:
            last[edge] = (event.ts, event.event_id, event.active)

    def affinity(self, pair: tuple[int, int], now_ms: int) -> float:
        acts = self.pairs[pair].values()
        return sum(decayed(1.0, now_ms - ts, AFFINITY_S) for ts, _, active in acts if active)

    def edge(self, kind: TallyKind, owner: int, slot: str, edge: Any, event: Any) -> None:
        self.fold(kind, owner).apply(slot, edge, event.ts, event.event_id, event.active)
