"""The ranked feed as a plain build has it: sorted sets, a feature store's own call, an object per candidate.

Its Redis keys:

| key | what |
|---|---|
| ``timeline:{reader}``, ``outbox:{author}`` | ZSET of ``appearance:author:original:original_author`` by ms |
| ``pulled`` | SET of authors whose outbox is merged at read |
| ``following:{user}``, ``muted:…``, ``blocked:…``, ``blocked_by:…``, ``muted_words:…`` | SETs |
| ``tweet:{id}``, ``account:{id}`` | JSON |
| ``tweet_counts:{id}``, ``account_counts:{id}`` | HASHes |
| ``likes:{reader}``, ``retweets:{reader}`` | SETs of tweets |
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from feast import FeatureStore
from numpy.typing import NDArray

from benchmarks.peers.textbook.model import Model
from benchmarks.peers.textbook.page import items
from benchmarks.peers.textbook.shapes import Candidate, FeedPage, Ranking, Tweet
from features.context import context_features
from features.names import FEATURE_SERVICE, MODEL_INPUT, VIEWS
from serving.feed.policy import Diversity, Policy

TIMELINE = 800
COLUMNS = [column for view in VIEWS for column in view.columns]


class TextbookFeed:
    """``redis`` is a synchronous redis-py client that decodes; several threads may ask for pages."""

    def __init__(self, redis: Any, features: FeatureStore, model: Model, policy: Policy) -> None:
        self.redis, self.features, self.model, self.policy = redis, features, model, policy
        self.service = features.get_feature_service(FEATURE_SERVICE)

    def page(self, reader: int, limit: int, now: datetime) -> FeedPage:
        candidates = self._visible(reader, self._newest(reader), now)
        best = self._scored(reader, candidates, now)
        shown = diversified(best, self.policy.diversity)[:limit]
        return FeedPage(
            request_id=uuid.uuid4().hex,
            items=items(self.redis, reader, shown),
            ranking=Ranking(model=self.model.manifest.name, candidates=len(candidates)),
            as_of=now,
        )

    def _newest(self, reader: int) -> list[Candidate]:
        """The timeline merged with the outboxes of pulled authors, each original once, newest first."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.zrevrange(f"timeline:{reader}", 0, TIMELINE - 1)
        pipe.sinter(f"following:{reader}", "pulled")
        for kind in ("muted", "blocked", "blocked_by"):
            pipe.smembers(f"{kind}:{reader}")
        pushed, pulled, *hidden = pipe.execute()
        pipe = self.redis.pipeline(transaction=False)
        for author in pulled:
            pipe.zrevrange(f"outbox:{author}", 0, TIMELINE - 1)
        found = [_candidate(member, "following") for member in pushed]
        found += [_candidate(member, "celebrity") for outbox in pipe.execute() for member in outbox]
        found.sort(key=lambda candidate: candidate.appearance, reverse=True)
        kept_out = {str(reader)}.union(*hidden)
        originals: dict[int, Candidate] = {}
        for candidate in found[:TIMELINE]:
            if str(candidate.author) in kept_out or str(candidate.original_author) in kept_out:
                continue
            first = originals.setdefault(candidate.original, candidate)
            if candidate.is_retweet and candidate.author not in first.retweeters:
                first.retweeters.append(candidate.author)
        return list(originals.values())[: self.policy.budgets.candidates]

    def _visible(self, reader: int, candidates: Sequence[Candidate], now: datetime) -> list[Candidate]:
        """Those that this reader may see and would want to, with their tweets."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.mget([f"tweet:{candidate.original}" for candidate in candidates])
        pipe.smembers(f"following:{reader}")
        pipe.smembers(f"muted_words:{reader}")
        stored, following, muted_words = pipe.execute()
        oldest = now - timedelta(hours=self.policy.age.max_hours)
        visible = []
        for candidate, json in zip(candidates, stored, strict=True):
            if json is None:
                continue
            tweet = Tweet.model_validate_json(json)
            followed = str(tweet.author_id) in following
            text = (tweet.text or "").casefold()
            if (
                not tweet.deleted
                and tweet.created_at >= oldest
                and (tweet.visibility == "public" or followed)
                and not any(word in text for word in muted_words)
            ):
                candidate.tweet = tweet
                visible.append(candidate)
        return visible

    def _scored(self, reader: int, candidates: Sequence[Candidate], now: datetime) -> list[Candidate]:
        """The best by the light ranker, scored by the heads, best first."""
        matrix = self._features(reader, candidates, now)
        best = np.argsort(-self.model.light(matrix), kind="stable")[: self.policy.budgets.heads]
        chosen = [candidates[place] for place in sorted(best.tolist())]
        for candidate, score in zip(chosen, self.model.scores(matrix[np.sort(best)]).tolist(), strict=True):
            candidate.score = score
        return best_first(chosen)

    def _features(self, reader: int, candidates: Sequence[Candidate], now: datetime) -> NDArray[np.float32]:
        rows = {
            "user": [reader] * len(candidates),
            "author": [candidate.original_author for candidate in candidates],
            "tweet": [candidate.original for candidate in candidates],
        }
        frame = self.features.get_online_features(self.service, rows).to_df()
        created = [
            0 if candidate.tweet is None else int(candidate.tweet.created_at.timestamp() * 1000)
            for candidate in candidates
        ]
        context = context_features(
            np.array(created, dtype=np.int64),
            np.array([candidate.is_retweet for candidate in candidates], dtype=np.bool_),
            int(now.timestamp() * 1000),
        )
        matrix = np.hstack([frame[COLUMNS].to_numpy(dtype=np.float32), context])
        return matrix.reshape(-1, len(MODEL_INPUT))


def diversified(ranked: Sequence[Candidate], policy: Diversity) -> list[Candidate]:
    """Scores times what repeated authors and topics cost, in the new order; ``ranked`` is best first."""
    authors: Counter[int] = Counter()
    topics: Counter[str] = Counter()
    for candidate in ranked:
        tags = {tag.casefold() for tag in candidate.tweet.hashtags[:2]} if candidate.tweet else set()
        earlier = max((topics[tag] for tag in tags), default=0)
        author_factor = max(policy.author_floor, policy.author_decay ** authors[candidate.original_author])
        topic_factor = max(policy.topic_floor, policy.topic_decay**earlier)
        candidate.score = (candidate.score or 0.0) * author_factor * topic_factor
        authors[candidate.original_author] += 1
        topics.update(tags)
    return best_first(ranked)


def best_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    """By score; equal ones newest first."""
    return sorted(candidates, key=lambda one: (one.score or 0.0, one.appearance), reverse=True)


def _candidate(member: str, source: str) -> Candidate:
    appearance, author, original, original_author = member.split(":")
    return Candidate(
        appearance=int(appearance),
        author=int(author),
        original=int(original),
        original_author=int(original_author),
        source=source,
    )
