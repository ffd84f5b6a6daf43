"""What a reader is interested in: what the batch side found at its last build, and what the reader did since.

The batch side leaves one short string per reader: whose likes are like the reader's, and weights of topics.
What a reader did is in the reader's own sets a moment later, so that nothing has to bring the weights up to
date: an act weighs exp(-age / LIFETIME_S) on each topic of its tweet, as offline, and only the ratios of
weights matter, which do not change as time goes by.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from timelines import commands
from timelines.durations import DAY_MS
from timelines.edges import edge_ts, stands
from timelines.entry import Ids
from timelines.keys import Keyspace
from timelines.topics import NO_TOPIC

LIFETIME_S = 14 * 86_400.0
"""As what a reader did with an author (``features.names.AFFINITY_S``)."""
SIMILAR = 20
TOPICS = 10
"""Accounts and topics that are kept of a reader at most."""
ACTS = 20
"""Of likes, of retweets and of opened tweets, so many of the newest are read."""
KEPT_MS = 30 * DAY_MS
KIND = "interests"

_FORM = 1
_HEAD = struct.Struct(">QBBB")
"""The moment of the build in ms, which is the version; the form; how many accounts and topics follow."""
_TOPIC = np.dtype([("topic", ">u4"), ("weight", ">f4")])


@dataclass(frozen=True)
class Act:
    """A tweet that the reader likes, retweeted or opened, and when (ms UTC)."""

    tweet: int
    at_ms: int


@dataclass(frozen=True)
class Interests:
    """``similar``: accounts, most alike first; ``topics``: weights as of ``as_of`` (ms UTC), in no order.

    ``acts`` are the newest, in no order, whether ``topics`` has them or not.
    """

    similar: tuple[int, ...] = ()
    topics: Mapping[int, float] = field(default_factory=dict)
    as_of: int = 0
    acts: tuple[Act, ...] = ()

    @property
    def since(self) -> tuple[Act, ...]:
        """What ``topics`` does not have yet."""
        return tuple(act for act in self.acts if act.at_ms >= self.as_of)

    def favourites(self, topics_of: Mapping[int, Sequence[int]]) -> list[int]:
        """At most ``TOPICS`` topics, the one that matters most first.

        Args:
            topics_of: the topics of the tweets of ``since`` that are known.
        """
        since = self.since
        reference = max((act.at_ms for act in since), default=self.as_of)
        left = _left(reference - self.as_of)
        weights = {topic: weight * left for topic, weight in self.topics.items()}
        for act in since:
            for topic in topics_of.get(act.tweet, ()):
                if topic != NO_TOPIC:
                    weights[topic] = weights.get(topic, 0.0) + _left(reference - act.at_ms)
        return sorted(weights, key=lambda topic: (-weights[topic], topic))[:TOPICS]


def encode(as_of: int, similar: Sequence[int], topics: Sequence[int], weights: Sequence[float]) -> bytes:
    """The stored form; the first of each that there is room for."""
    users = np.asarray(similar[:SIMILAR], dtype=">i8")
    rated = np.empty(len(topics[:TOPICS]), dtype=_TOPIC)
    rated["topic"], rated["weight"] = topics[:TOPICS], weights[:TOPICS]
    return _HEAD.pack(as_of, _FORM, len(users), len(rated)) + users.tobytes() + rated.tobytes()


def put(pipe: Any, keys: Keyspace, readers: Ids, values: Sequence[bytes]) -> None:
    """Store what ``encode`` made of these readers, unless that of a later build is there."""
    commands.put_versioned(pipe, keys, KIND, readers, values)
    for key in keys.keys(KIND, readers.tolist()):
        pipe.pexpire(key, KEPT_MS)


def queue(pipe: Any, keys: Keyspace, reader: int) -> None:
    """Queue the read of a reader's interests; its four answers are for :func:`decode`."""
    pipe.get(keys.interests(reader))
    for key in (keys.likes(reader), keys.retweets(reader), keys.opened(reader)):
        pipe.zrange(key, -ACTS, -1, withscores=True)


def decode(answers: Sequence[Any]) -> Interests:
    """No more than the acts where nothing is stored, or what this build cannot read."""
    stored, *sets = answers
    acts = tuple(
        Act(int(tweet), edge_ts(score)) for members in sets for tweet, score in members if stands(score)
    )
    if stored is None or len(stored) < _HEAD.size:
        return Interests(acts=acts)
    as_of, form, users, topics = _HEAD.unpack_from(stored)
    if form != _FORM or len(stored) != _HEAD.size + 8 * users + _TOPIC.itemsize * topics:
        return Interests(acts=acts)
    similar = np.frombuffer(stored, ">i8", users, _HEAD.size)
    rated = np.frombuffer(stored, _TOPIC, topics, _HEAD.size + similar.nbytes)
    weights = dict(zip(rated["topic"].tolist(), rated["weight"].tolist(), strict=True))
    return Interests(tuple(similar.tolist()), weights, as_of, acts)


def _left(age_ms: int) -> float:
    return math.exp(-age_ms / (LIFETIME_S * 1000))
