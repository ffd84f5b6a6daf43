"""Two versions of the model, fetched and put beside each other on examples that neither learned from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.bundle import Bundle, Scores
from training.comparison import Comparison, compare
from training.dataset import Examples
from training.disagreement import QUANTILES, DisputedList, Spread, disputed_lists, spreads
from training.held_out import held_out
from training.latency import scoring_cost
from training.manifest import ScoringCost
from training.promotion import SEED
from training.settings import GateSettings
from training.versions import ModelVersions


@dataclass(frozen=True)
class SideBySide:
    """``versions``, ``bundles``, ``scores`` and ``costs`` are of the first and of the second."""

    versions: tuple[str, str]
    bundles: tuple[Bundle, Bundle]
    examples: Examples
    scores: tuple[Scores, Scores]
    comparison: Comparison
    costs: tuple[ScoringCost, ScoringCost]
    spreads: Mapping[str, Spread]
    disputed: Sequence[DisputedList]

    def plain(self) -> dict[str, object]:
        """For JSON."""
        return {
            "versions": self.versions,
            "comparison": self.comparison,
            "scoring": [{"page_ms": cost.page_ms, "ratio": cost.ratio} for cost in self.costs],
            "quantiles": QUANTILES,
            "spreads": self.spreads,
            "disputed": self.disputed,
        }


def fetched(versions: ModelVersions, pair: tuple[str, str]) -> tuple[Bundle, Bundle]:
    """The bundles of two versions.

    Raises:
        RegistryError: MLflow does not answer, or has no such version.
        BundleError: this build cannot load one.
    """
    with tempfile.TemporaryDirectory() as folder:
        first, second = (Bundle.load(versions.fetch(version, Path(folder))) for version in pair)
    return first, second


def side_by_side(
    pair: tuple[str, str],
    bundles: tuple[Bundle, Bundle],
    examples: Examples,
    limits: GateSettings,
    disputed: int = 3,
    announce: Callable[[str], None] = lambda step: None,
) -> SideBySide:
    """Everything there is to say of two versions; differences favour the first.

    Raises:
        NoExamplesError: too few examples that neither learned from.
    """
    lists = held_out(examples, [bundle.manifest for bundle in bundles], limits)
    announce(f"comparing on {len(lists):,} held-out examples")
    first, second = bundles
    scores = first.score(lists.matrix), second.score(lists.matrix)
    comparison = compare(*scores, lists, SEED)
    announce("timing a page")
    costs = scoring_cost(first, lists.matrix), scoring_cost(second, lists.matrix)
    announce("explaining where they disagree")
    return SideBySide(
        versions=pair,
        bundles=bundles,
        examples=lists,
        scores=scores,
        comparison=comparison,
        costs=costs,
        spreads=spreads(*scores),
        disputed=disputed_lists(bundles, scores, lists, disputed),
    )
