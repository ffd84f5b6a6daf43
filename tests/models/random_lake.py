"""Random events of some days, for what must not depend on how the days are taken."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

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
from timelines.durations import DAY_MS

HOUR = 3_600_000
DAYS = 3
START = 20_000 * DAY_MS
UNTIL = START + DAYS * DAY_MS


def random_events(seed: int) -> list[Event]:
    """Five people and twenty tweets over some days: all that happens may be taken back days later.

    Only what is written already is shown; likes and retweets may come before.
    """
    draw = random.Random(seed)
    events: list[Event] = []

    def add(event_type: Callable[..., Event], **fields: Any) -> None:
        events.append(event_type(event_id=f"e{len(events):05}", **fields))

    def moment() -> int:
        # Now and then right at an hour or a midnight.
        moment = START + draw.randrange(DAYS * DAY_MS)
        return moment - moment % draw.choice([1, 1, 1, HOUR, DAY_MS])

    owner = {100 + n: 1 + draw.randrange(5) for n in range(20)}
    made = {tweet: moment() for tweet in owner}
    for tweet, author in owner.items():
        others = sorted(set(owner) - {tweet})
        add(
            TweetCreated, ts=made[tweet], tweet_id=tweet, author_id=author, text="hi #a", hashtags=("a",),
            in_reply_to=draw.choice([None, draw.choice(others)]),
            quote_of=draw.choice([None, draw.choice(others)]), mentions=(1 + draw.randrange(5),),
        )  # fmt: skip
        if draw.random() < 0.4:
            add(TweetDeleted, ts=moment(), tweet_id=tweet, author_id=author)
    for _ in range(300):
        user, tweet, active = 1 + draw.randrange(5), draw.choice(sorted(owner)), draw.random() < 0.6
        which = draw.random()
        if which < 0.4:
            add(LikeChanged, ts=moment(), user_id=user, tweet_id=tweet, author_id=owner[tweet], active=active)
        elif which < 0.6:
            add(
                RetweetChanged, ts=moment(), retweet_id=10_000 + len(events), user_id=user, tweet_id=tweet,
                author_id=owner[tweet], active=active,
            )  # fmt: skip
        elif which < 0.8:
            add(
                FollowChanged, ts=moment(), follower_id=user, followee_id=1 + draw.randrange(5), active=active
            )
        else:
            add(
                ClientReport, ts=moment(), feed_request_id="r", user_id=user, tweet_id=tweet, position=0,
                action="open",
            )  # fmt: skip
    for request in range(80):
        ts, user = moment(), 1 + draw.randrange(5)
        written = [tweet for tweet in sorted(owner) if made[tweet] <= ts]
        for position, tweet in enumerate(draw.sample(written, min(3, len(written)))):
            add(
                Impression, ts=ts, request_id=f"r{request}", user_id=user, tweet_id=tweet,
                author_id=owner[tweet], position=position, source="following", rung="recorded",
            )  # fmt: skip
    return events
