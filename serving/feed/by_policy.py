"""Selection by policy, as stages: what scores are multiplied by, and who gets which slot of the page."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from serving.feed.candidates import Candidates
from serving.feed.exploration import explore
from serving.feed.multipliers import Multipliers
from serving.feed.policy import Policy
from serving.feed.query import FeedQuery
from serving.feed.selection import Recent, Scored, balanced, multiply
from serving.pipeline.selection import best_first
from serving.pipeline.stages import Columns, Order
from timelines.bodies import TweetBody
from timelines.durations import MINUTE_MS
from timelines.entry import Ids
from timelines.topics import NO_TOPIC, TOPICS, topics_of_hashtags


@dataclass(frozen=True)
class Multiplied:
    """Scores times the policy's multipliers: repeated authors and topics, and authors the reader hid."""

    policy: Policy = field(repr=False)
    name: str = "multipliers"

    def adjust(self, query: FeedQuery, candidates: Candidates) -> Columns:
        scored = Scored(
            candidates.appearance,
            candidates.original_author,
            topics_of(candidates),
            candidates.out_of_network(),
            candidates.model_score,
        )
        count = int(np.count_nonzero(~np.isnan(candidates.model_score)))
        multipliers = multiply(scored, _recent(query, self.policy), self.policy, count)
        return {
            "multipliers": np.stack(multipliers, axis=1),
            "score": candidates.model_score * multipliers.product,
        }


@dataclass(frozen=True)
class BalancedPage:
    """By score, with a bounded share of accounts not followed, and now and then something from below."""

    policy: Policy = field(repr=False)
    name: str = "balanced_page"

    def select(self, query: FeedQuery, candidates: Candidates) -> Order:
        scored = int(np.count_nonzero(~np.isnan(candidates.score)))
        order = best_first(candidates.score, candidates.appearance)
        outside = candidates.out_of_network()[order]
        order = order[balanced(outside, self.policy.network.out_of_network, scored)]
        policy = self.policy
        explored = explore(order, scored, query.limit, policy.exploration, query.request_id, policy.version)
        propensity = np.ones(len(order))
        propensity[explored.order[: query.limit]] = explored.propensities
        return Order(explored.order, query.limit, {"propensity": propensity})


MULTIPLIERS = Multipliers._fields
"""The names of the table's multipliers, in the order of their columns."""


def topics_of(candidates: Candidates) -> Ids:
    """The topics of each candidate, int64 [n, TOPICS], padded with -1: hashes of its first hashtags."""
    rows = [_topics(body) for body in candidates.body.tolist()]
    return np.array(rows, dtype=np.int64).reshape(-1, TOPICS)


def _topics(body: TweetBody | None) -> tuple[int, ...]:
    return topics_of_hashtags(() if body is None else body.hashtags)


def _recent(query: FeedQuery, policy: Policy) -> Recent:
    since = query.now_ms - int(policy.diversity.carry_minutes * MINUTE_MS)
    served = query.served[query.served["at_ms"] > since]
    topics = served["topics"].ravel()
    return Recent(
        served["author"],
        topics[topics != NO_TOPIC],
        np.fromiter(query.hides, dtype=np.int64),
        query.now_ms - np.fromiter(query.hides.values(), dtype=np.int64),
    )
