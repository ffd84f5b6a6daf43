"""The view ``user_author_recent`` offline: the twin of what the Flink job ``engagement`` writes."""

from __future__ import annotations

from pyspark.sql import DataFrame

from features.names import AFFINITY_S, USER_AUTHOR_RECENT
from pipelines.batch.ticks import CHANGE_MS, BuildTime, decayed_totals, feature_rows


def transform(received: DataFrame, build: BuildTime, earlier: DataFrame | None = None) -> DataFrame:
    """A row at every change of a reader's acts on an author; whoever reads one lets it decay.

    Args:
        received: changes of ``acts.engagements`` whose author is known, with ``born``.
        build: which time, and when, the rows are built.
        earlier: the view's rows of the days before, as ``ticks.carried_rows`` gives them.
    """
    lifetimes = {"pair_affinity": AFFINITY_S}
    rows = decayed_totals(received, USER_AUTHOR_RECENT.entities, lifetimes, CHANGE_MS, build, earlier)
    return feature_rows(rows, USER_AUTHOR_RECENT.entities, USER_AUTHOR_RECENT.columns, build, list(lifetimes))
