"""Shadows: models that score what was ranked, after the answer; nothing of it is shown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from serving.experiments.experiment import Shadow
from serving.feed.candidates import Candidates, joined
from serving.feed.query import FeedQuery
from serving.model_store import Model
from serving.pipeline.selection import best_first
from serving.pipeline.stages import Selection

logger = logging.getLogger(__name__)

Outcome = Literal["scored", "dropped", "model_unavailable", "failed"]


class CurrentModel(Protocol):
    """Follows one alias of the registry."""

    @property
    def current(self) -> Model | None: ...


@dataclass
class Shadows:
    """A side effect of a ranked page. While one page is scored others are dropped: readers come first.

    ``count`` is told what became of each page; ``agree`` which share of the page's best, by the scores of the
    model that ranked it, are the best of the shadow as well.
    """

    shadows: Sequence[Shadow]
    models: Mapping[str, CurrentModel] = field(repr=False)
    count: Callable[[str, Outcome], None] = field(repr=False)
    agree: Callable[[str, float], None] = field(repr=False)
    name: str = "shadows"
    under_way: bool = False

    async def run(self, query: FeedQuery, selection: Selection[Candidates]) -> None:
        if self.under_way:
            for shadow in self.shadows:
                self.count(shadow.name, "dropped")
            return
        self.under_way = True
        try:
            whole = joined([selection.selected, selection.rest])
            scored = whole.take(np.flatnonzero(~np.isnan(whole.model_score)))
            for shadow in self.shadows:
                self.count(shadow.name, await self._score(shadow, query, scored, len(selection.selected)))
        finally:
            self.under_way = False

    async def _score(self, shadow: Shadow, query: FeedQuery, scored: Candidates, page: int) -> Outcome:
        follower = self.models.get(shadow.model)
        model = None if follower is None else follower.current
        if model is None:
            return "model_unavailable"
        try:
            scores = (await asyncio.to_thread(model.bundle.score, scored.features)).score
        except Exception:
            logger.exception("Shadow %s (%s) failed", shadow.name, model.version)
            return "failed"
        share = agreement(scored.model_score, scores, scored.appearance, page)
        self.agree(shadow.name, share)
        logger.info(
            "Shadow %s (%s) of request %s: %.0f %% of the best %d as ranked.",
            shadow.name,
            model.version,
            query.request_id,
            100 * share,
            page,
        )
        return "scored"


def agreement(
    ranked: NDArray[np.float64], shadow: NDArray[np.float64], ids: NDArray[np.int64], page: int
) -> float:
    """The share of the ``page`` best by one score [n] that are among the ``page`` best by another [n]."""
    best = best_first(ranked, ids)[:page]
    return float(np.isin(best, best_first(shadow, ids)[:page]).mean())
