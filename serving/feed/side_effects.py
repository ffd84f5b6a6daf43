"""What follows a served page: its impressions go to the log, as data for training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.names import FEATURE_SERVICE
from ingestion.events import Event, Impression
from serving.feed.answer import Answer
from serving.feed.by_policy import topics_of
from serving.feed.candidates import SOURCES, Candidates
from serving.feed.exploration import contest
from serving.feed.query import FeedQuery
from serving.pipeline.stages import Selection
from serving.seeded import chances
from timelines.keys import Keyspace
from timelines.lately import SERVED, note


class Publisher(Protocol):
    """Takes an event for the log without waiting, and tells later whether it was acknowledged."""

    def hand_over(self, event: Event, delivered: Callable[[Exception | None], None]) -> None: ...


class Impressions:
    """Publishes one impression per item shown. What the log does not take is counted and let go.

    ``feature_share``: of the requests, whose impressions have their features; the others save the log most
    of its bytes. ``problem`` is the last refusal, None once the log takes impressions again.
    """

    def __init__(
        self,
        publisher: Publisher,
        taken: Callable[[], None],
        dropped: Callable[[], None],
        refusals: tuple[type[Exception], ...],
        feature_share: float = 1.0,
    ) -> None:
        self.feature_share = feature_share
        self.problem: str | None = None
        self._publisher = publisher
        self._taken = taken
        self._dropped = dropped
        self._refusals = refusals

    def with_features(self, request_id: str) -> bool:
        """Whether the request is of those whose features are logged; all pages of a scrolling are alike."""
        (chance,) = chances("logged features", request_id, 1)
        return chance < self.feature_share

    def publish(self, impressions: Sequence[Impression]) -> None:
        for impression in impressions:
            try:
                self._publisher.hand_over(impression, self._settle)
            except self._refusals as error:
                self._refuse(error)

    def _settle(self, error: Exception | None) -> None:
        if error is None:
            self.problem = None
            self._taken()
        else:
            self._refuse(error)

    def _refuse(self, error: BaseException) -> None:
        self.problem = str(error)
        self._dropped()


@dataclass(frozen=True)
class LogImpressions:
    """Hands one impression per item of a page to the log; ``ms`` is what the page took."""

    impressions: Impressions = field(repr=False)
    answer: Answer = field(repr=False)
    ms: float
    name: str = "impressions"

    async def run(self, query: FeedQuery, selection: Selection[Candidates]) -> None:
        items, answer = selection.selected, self.answer
        with_features = self.impressions.with_features(query.request_id)
        known = np.isfinite(items.features).any(axis=1) & with_features
        policy = answer.policy
        rows = zip(
            items.original.tolist(),
            items.original_author.tolist(),
            items.source.tolist(),
            items.score.tolist(),
            items.propensity.tolist(),
            items.features,
            known.tolist(),
            strict=True,
        )
        shown = [
            Impression(
                event_id=f"{query.request_id}:{position}",
                ts=query.now_ms,
                request_id=query.request_id,
                user_id=query.reader,
                tweet_id=tweet,
                author_id=author,
                position=position,
                source=SOURCES[source],
                rung=answer.rung,
                model=answer.model,
                score=None if math.isnan(score) else score,
                feature_service=FEATURE_SERVICE if scored else None,
                features=_as_served(features) if scored else None,
                policy=None if policy is None else policy.version,
                arm=answer.arm,
                propensity=None if policy is None else propensity,
                latency_ms=self.ms,
            )
            for position, (tweet, author, source, score, propensity, features, scored) in enumerate(
                rows, answer.first_position
            )
        ]
        self.impressions.publish(_with_alternative(shown, items, answer, with_features))


def _with_alternative(
    shown: list[Impression], items: Candidates, answer: Answer, with_features: bool
) -> list[Impression]:
    """The impressions of a page; that of the contested slot says what else could have stood there."""
    if answer.policy is None or answer.rest is None:
        return shown
    below, exploration = answer.rest, answer.policy.exploration
    scored = np.count_nonzero(~np.isnan(np.concatenate((items.score, below.score))))
    contested = contest(int(scored), len(shown), exploration, answer.request_id, answer.policy.version)
    if contested is None:
        return shown
    # What an explored slot had before goes first below the page.
    place = 0 if contested.explored else contested.below
    features = below.features[place]
    shown[contested.slot] = msgspec.structs.replace(
        shown[contested.slot],
        alternative=int(below.original[place]),
        alternative_author=int(below.original_author[place]),
        alternative_features=_as_served(features) if with_features and np.isfinite(features).any() else None,
        alternative_propensity=1 - exploration.share if contested.explored else exploration.share,
    )
    return shown


def _as_served(row: NDArray[np.float32]) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(value) else value for value in row.tolist())


@dataclass(frozen=True)
class NoteServed:
    """Remembers what a reader was given, so that it is not given again soon and its authors step back."""

    redis: Any = field(repr=False)
    keys: Keyspace
    name: str = "note_served"

    async def run(self, query: FeedQuery, selection: Selection[Candidates]) -> None:
        items = selection.selected
        records = np.empty(len(items), dtype=SERVED.form)
        records["original"], records["author"] = items.original, items.original_author
        records["topics"], records["at_ms"] = topics_of(items), query.now_ms
        pipe = self.redis.pipeline(transaction=False)
        note(pipe, self.keys, SERVED, query.reader, records, query.now_ms)
        await pipe.execute()
