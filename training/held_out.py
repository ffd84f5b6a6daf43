"""The examples that models are judged on: later than everything that any of them learned from."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from features.labels import ENGAGED
from training.dataset import Examples, NoExamplesError, Split, time_split
from training.manifest import Manifest
from training.metrics import rankable
from training.settings import GateSettings


def learned_until(split: Split) -> str:
    """When the last list began that a model of this split learned or was calibrated from, ISO 8601, UTC."""
    return str(_begun(split.calibration).max().isoformat())


def held_out(examples: Examples, models: Iterable[Manifest], limits: GateSettings) -> Examples:
    """The lists of the examples' test part that began after what each of the models learned from.

    A bundle from before ``learned_until`` was recorded does not narrow them.

    Raises:
        NoExamplesError: fewer lists with engaged and other items than ``limits`` ask for, or of fewer
            readers, or the label of a head is of one kind.
    """
    models = list(models)
    test = time_split(examples).test
    known = [pd.Timestamp(model.learned_until) for model in models if model.learned_until is not None]
    if known:
        test = Examples(test.frame[_begun(test) > max(known)].reset_index(drop=True))
    since = f" begun after {max(known).isoformat(timespec='seconds')}" if known else ""
    lists, readers = _enough(test)
    if lists < limits.least_lists or readers < limits.least_readers:
        raise NoExamplesError(
            f"There is too little to judge on: {lists} lists of {readers} readers{since} hold engaged and "
            f"other items, and {limits.least_lists} lists of {limits.least_readers} readers are asked for."
        )
    for head in dict.fromkeys(head for model in models for head in model.heads):
        if not test.has_both_kinds(head):
            raise NoExamplesError(
                f"There is too little to judge on: the lists{since} need rows that were {head} and rows that "
                "were not."
            )
    return test


def _enough(test: Examples) -> tuple[int, int]:
    """How many lists an order can be judged on, and of how many readers they are."""
    if len(test) == 0:
        return 0, 0
    requests = test.requests
    kept = rankable(requests, test.labels(ENGAGED))
    readers = test.frame["user"].to_numpy()[kept[requests]]
    return int(kept.sum()), len(np.unique(readers))


def _begun(examples: Examples) -> pd.Series[pd.Timestamp]:
    """When each row's list began."""
    frame = examples.frame
    return frame.groupby("request_id", sort=False)["event_timestamp"].transform("min")
