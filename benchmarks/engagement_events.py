"""The log that ``engagement-stream`` is measured on: Zipf-distributed tweets, uniform people, encoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ingestion.topics import ENGAGEMENTS, FOLLOWS, IMPRESSIONS, TWEETS, Topic

TWEET_IDS = 20_000
AUTHORS = 2_000
USERS = 100_000
EPOCH_MS = 1_700_000_000_000
RATE_PER_MS = 5

Record = tuple[Topic, bytes, bytes]
"""Topic, key, value."""

_LIKE, _UNLIKE, _RETWEET, _REPLY, _FOLLOW, _IMPRESSION = range(6)
SHARES = {_LIKE: 0.5, _UNLIKE: 0.05, _RETWEET: 0.15, _REPLY: 0.05, _FOLLOW: 0.05, _IMPRESSION: 0.2}

PROBES = {ENGAGEMENTS: _LIKE, TWEETS: _RETWEET, FOLLOWS: _FOLLOW, IMPRESSIONS: _IMPRESSION}


@dataclass
class EventLog:
    """An endless log; each event is another one than all before."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    written: int = 0

    def take(self, count: int) -> Iterator[Record]:
        """The next ``count`` events."""
        kinds = self.rng.choice(len(SHARES), count, p=list(SHARES.values())).tolist()
        tweets = (self.rng.zipf(1.3, count) % TWEET_IDS).tolist()
        users = self.rng.integers(0, USERS, count).tolist()
        for kind, tweet, user in zip(kinds, tweets, users, strict=True):
            number = self.written
            self.written += 1
            ts = EPOCH_MS + number // RATE_PER_MS
            yield _record(kind, number, ts, tweet, user, author=tweet % AUTHORS)

    def probe(self, topic: Topic, number: int) -> Record:
        """An event of ``topic`` about tweet and account ``number``, which nothing else is about."""
        self.written += 1
        ts = EPOCH_MS + self.written // RATE_PER_MS
        return _record(PROBES[topic], self.written, ts, number, 0, author=number)


def _record(kind: int, number: int, ts: int, tweet: int, user: int, author: int) -> Record:
    head = f'"event_id":"e{number}","ts":{ts},"v":1'
    edge = f'"user_id":{user},"tweet_id":{tweet},"author_id":{author}'
    if kind in (_LIKE, _UNLIKE):
        active = "true" if kind == _LIKE else "false"
        value = f'{{"type":"like_changed",{head},{edge},"active":{active}}}'
        return ENGAGEMENTS, b"%d" % tweet, value.encode()
    if kind == _RETWEET:
        value = f'{{"type":"retweet_changed",{head},"retweet_id":{TWEET_IDS + number},{edge},"active":true}}'
        return TWEETS, b"%d" % user, value.encode()
    if kind == _REPLY:
        fields = f'"tweet_id":{TWEET_IDS + number},"author_id":{user},"text":"a short answer"'
        value = f'{{"type":"tweet_created",{head},{fields},"in_reply_to":{tweet}}}'
        return TWEETS, b"%d" % user, value.encode()
    if kind == _FOLLOW:
        value = (
            f'{{"type":"follow_changed",{head},"follower_id":{user},"followee_id":{author},"active":true}}'
        )
        return FOLLOWS, b"%d:%d" % (author, user), value.encode()
    page = f'"request_id":"r{number // 20}",{edge},"position":{number % 20}'
    value = f'{{"type":"impression",{head},{page},"source":"following","rung":"chronological"}}'
    return IMPRESSIONS, b"%d" % user, value.encode()
