"""Contested slots of explored pages, from the lake: which of two items stood there, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.day_partitions import succeeded
from features.labels import HEADS, LABELS
from features.names import FEATURE_SERVICE, MODEL_INPUT
from ingestion.events import Impression
from ingestion.lake_events import read_columns
from training.bundle import Bundle, Matrix
from training.formula import DEFAULT_WEIGHTS, worth
from training.off_policy import Decisions, OffPolicyError

KEYS = ["request_id", "tweet_id"]


@dataclass(frozen=True)
class Contests:
    """n contested slots. ``rewards`` [n] are the formula's weighted sum of the labels of what was ``shown``.

    ``shown`` and ``other`` [n, len(MODEL_INPUT)] are the two items' features as served. ``propensities`` [n]
    and ``other_propensities`` [n] are their chances, NaN where not logged. ``left_out``: pages that were not
    used, by reason.
    """

    readers: NDArray[np.int64]
    rewards: NDArray[np.float64]
    propensities: NDArray[np.float64]
    other_propensities: NDArray[np.float64]
    shown: Matrix
    other: Matrix
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.rewards)


def read_labels(examples: Path) -> pd.DataFrame:
    """``request_id``, ``tweet_id``, ``ts`` (ms) and the labels of all training examples of the folder.

    Raises:
        OffPolicyError: no examples were built yet.
    """
    if not succeeded(examples):
        raise OffPolicyError("There are no training examples: run `tideline features build` first.")
    names = ["request_id", "tweet", "event_timestamp", *LABELS.values()]
    frame = pd.read_parquet(examples, columns=names).rename(columns={"tweet": "tweet_id"})
    if frame.empty:
        raise OffPolicyError("The training examples are empty: nothing was shown yet.")
    moments = pd.to_datetime(frame.pop("event_timestamp"), utc=True).dt.as_unit("ms")
    return frame.assign(ts=moments.astype(np.int64))


def read_contests(
    lake: Path, namespace: str, labels: pd.DataFrame, from_ms: int | None, until_ms: int
) -> Contests:
    """The contested slots of the pages served from ``from_ms`` on and before ``until_ms`` (UTC).

    A page is left out for what is alike whichever item was shown: the features of either are not logged, or
    are another service's; the page is none of the examples'.

    Raises:
        OffPolicyError: no page of that time has a contested slot, or none that can be used.
    """
    names = ["event_id", "request_id", "user_id", "tweet_id", "feature_service", "features"]
    names += ["alternative_features", "alternative_propensity"]
    rows = read_columns(lake, namespace, Impression, names, from_ms, until_ms, having="alternative")
    frame = rows.select(names[:5] + names[-1:]).to_pandas()
    first = ~frame.duplicated("event_id").to_numpy()
    if not first.any():
        raise OffPolicyError(
            "No page of that time has logged what else could have stood in one of its slots."
        )
    widths = np.stack([_widths(rows[name]) for name in ("features", "alternative_features")])
    complete = first & (widths > 0).all(axis=0)
    fitting = (frame["feature_service"] == FEATURE_SERVICE).to_numpy() & (widths == len(MODEL_INPUT)).all(
        axis=0
    )
    ours = complete & fitting
    joined = frame.assign(row=np.arange(len(frame)))[ours].merge(
        labels.drop(columns="ts"), on=KEYS, how="inner", validate="one_to_one"
    )
    kept = joined["row"].to_numpy()
    left_out = {
        "without logged features": int(first.sum() - complete.sum()),
        "with features of another service": int(complete.sum() - ours.sum()),
        "not among the examples": int(ours.sum() - len(kept)),
    }
    left_out = {reason: count for reason, count in left_out.items() if count}
    if not len(kept):
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        raise OffPolicyError(f"No page of that time can be used: {reasons}.")
    other = joined["alternative_propensity"].to_numpy(np.float64)
    return Contests(
        readers=joined["user_id"].to_numpy(np.int64),
        rewards=worth({head: joined[LABELS[head]].to_numpy(np.float64) for head in HEADS}),
        propensities=1 - other,
        other_propensities=other,
        shown=_matrix(rows["features"], kept),
        other=_matrix(rows["alternative_features"], kept),
        left_out=left_out,
    )


def decide(contests: Contests, bundle: Bundle) -> Decisions:
    """What a policy does that gives the slot to the item which the bundle scores higher, ties by a fair coin.

    The reward model is the bundle itself: the formula's weighted sum of its probabilities. A head that it
    lacks predicts nothing, which the estimates allow for: the rewards count it all the same.

    Raises:
        OffPolicyError: a propensity is missing or none, the policy would show what the log never could, or
            the bundle has a head that the formula does not count.
    """
    if foreign := sorted(bundle.weights.keys() - DEFAULT_WEIGHTS.keys()):
        raise OffPolicyError(f"The model predicts what the formula does not count: {', '.join(foreign)}.")
    weights = {head: DEFAULT_WEIGHTS[head] for head in bundle.weights}
    shown, other = bundle.score(contests.shown), bundle.score(contests.other)
    chances = np.where(shown.score == other.score, 0.5, (shown.score > other.score).astype(np.float64))
    if never := int(((contests.other_propensities <= 0) & (chances < 1)).sum()):
        raise OffPolicyError(
            f"On {never:,} of {len(contests):,} pages the model would show an item that had no chance: "
            "exploration was off, or on for every page."
        )
    predicted, otherwise = (worth(scores.probabilities, weights) for scores in (shown, other))
    return Decisions(
        readers=contests.readers,
        rewards=contests.rewards,
        propensities=contests.propensities,
        chances=chances,
        predicted=predicted,
        expected=chances * predicted + (1 - chances) * otherwise,
    )


def _widths(column: Any) -> NDArray[np.int64]:
    """The length of each list of a column, 0 where there is none."""
    return np.asarray(pc.fill_null(pc.list_value_length(column), 0), dtype=np.int64)


def _matrix(column: Any, rows: NDArray[np.intp]) -> Matrix:
    """These rows of a column of lists, float32 [n, len(MODEL_INPUT)]; a missing value is NaN."""
    values = column.take(pa.array(rows)).combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float32).reshape(-1, len(MODEL_INPUT))
