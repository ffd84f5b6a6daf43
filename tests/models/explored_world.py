"""What readers do with pages of a synthetic world, explored as the product explores: the truth is known.

Readers are drawn from the world's, each with all of their lists. On each page the log's policy ranks, the
product's own contest says what stands in the contested slot, and the planted chances what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ingestion.world.generate import generate
from ingestion.world.plan import Engagement, WorldPlan
from serving.feed.exploration import contest
from serving.feed.policy import Exploration
from training.formula import DEFAULT_WEIGHTS
from training.metrics import places
from training.off_policy import Decisions

Array = NDArray[np.float64]
PAGE = 10
LEAST_WORTH = 1e-3


@dataclass(frozen=True)
class ExploredWorld:
    """Rankings of at least two more items than a page, and the exploration of their pages.

    ``rows``: one per item, list by list, best first by the log's policy, with the chance ``p_<head>`` of each
    head, ``worth`` and the score ``new`` of the new policy. ``starts`` and ``sizes`` [lists] their places in
    it; ``lists_of`` has the lists of each reader.
    """

    exploration: Exploration
    rows: dict[str, Array]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    lists_of: list[list[int]]

    def true_values(self) -> tuple[float, float]:
        """A contested slot's worth by the log's policy and by the new one, over all possible contests."""
        worth, new, share = self.rows["worth"], self.rows["new"], self.exploration.share
        values = np.zeros(2)
        for start, size in zip(self.starts.tolist(), self.sizes.tolist(), strict=True):
            end = min(PAGE + self.exploration.depth, size)
            ranked, below = np.ix_(range(start + PAGE // 2, start + PAGE), range(start + PAGE, start + end))
            old = (1 - share) * worth[ranked] + share * worth[below]
            chosen = np.where(new[below] > new[ranked], worth[below], worth[ranked])
            values += old.mean(), chosen.mean()
        old_value, new_value = values / len(self.sizes)
        return float(old_value), float(new_value)

    def logged(self, seed: int, readers: int) -> Decisions:
        """The contested slots of so many readers, drawn with replacement.

        The planted worth is the reward model. ``seed`` is of the readers and of what they do; it salts the
        exploration, too.
        """
        rng = np.random.default_rng(seed)
        reader, page, ranked, below, explored = np.array(
            [
                self._contest(reader, page, f"seed-{seed}")
                for reader, drawn in enumerate(rng.integers(0, len(self.lists_of), readers).tolist())
                for page in self.lists_of[drawn]
            ]
        ).T
        shown, other = np.where(explored, (below, ranked), (ranked, below)) + self.starts[page]
        share = self.exploration.share
        new, worth, chance = self.rows["new"], self.rows["worth"], rng.random(len(page))
        rewards = sum(
            weight * (chance < self.rows[f"p_{head}"][shown]) for head, weight in DEFAULT_WEIGHTS.items()
        )
        chosen = np.where(new[shown] > new[other], shown, other)
        return Decisions(
            readers=reader,
            rewards=np.asarray(rewards, dtype=np.float64),
            propensities=np.where(explored, share, 1 - share),
            chances=(chosen == shown).astype(np.float64),
            predicted=worth[shown],
            expected=worth[chosen],
        )

    def _contest(self, reader: int, page: int, salt: str) -> tuple[int, int, int, int, int]:
        drawn = contest(int(self.sizes[page]), PAGE, self.exploration, f"{reader}-{page}", salt)
        assert drawn is not None
        return reader, page, drawn.slot, PAGE + drawn.below, drawn.explored


def explored_world(exploration: Exploration, intercept: float) -> ExploredWorld:
    """A policy scores by the planted chances, with noise in their logarithm: the log's with more of it.

    ``intercept`` is of the log-odds that an item is engaged with.
    """
    plan = WorldPlan(
        seed=1, users=200, days=2, followees=60.0, tweets_per_day=6.0, sessions_per_day=1.5, page=60,
        engagement=Engagement(intercept=intercept, position=0.0),
    )  # fmt: skip
    truth: pd.DataFrame = generate(plan).tables["truth_impressions"].to_pandas()
    truth = truth[truth.groupby("request_id")["position"].transform("size") > PAGE]
    lists = truth["request_id"].factorize()[0]
    worth = sum(weight * truth[f"p_{head}"].to_numpy(np.float64) for head, weight in DEFAULT_WEIGHTS.items())
    rng = np.random.default_rng(0)
    # Below it is what is likelier hidden than liked.
    least = np.log(np.maximum(worth, LEAST_WORTH))
    old, new = (least + noise * rng.normal(size=len(truth)) for noise in (1.5, 0.3))
    order = np.lexsort((places(lists, old), lists))
    columns = {"worth": worth, "new": new, "reader": truth["user_id"]}
    columns |= {f"p_{head}": truth[f"p_{head}"] for head in DEFAULT_WEIGHTS}
    rows = {name: np.asarray(column, dtype=np.float64)[order] for name, column in columns.items()}
    sizes = np.bincount(lists)
    starts = np.cumsum(sizes) - sizes
    readers = rows["reader"][starts]
    lists_of = [np.flatnonzero(readers == reader).tolist() for reader in np.unique(readers)]
    return ExploredWorld(exploration, rows, starts, sizes, lists_of)
