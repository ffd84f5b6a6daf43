"""Labelled examples: checked, put in order, split by time, and fingerprinted.

The frame is what the feature store's point-in-time join returns: one row per shown item, with the columns
``request_id, user, author, tweet, event_timestamp, position``, the model input of ``features.names`` and the
labels of ``features.labels``, 0 or 1.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.labels import ENGAGED, LABELS
from features.names import MODEL_INPUT

KEYS = ("request_id", "user", "author", "tweet", "event_timestamp", "position")


CLOCKS_DIFFER = timedelta(days=1)


class DatasetError(ValueError):
    """The frame is not one of training examples; the message is one sentence."""


class NoExamplesError(DatasetError):
    """There is nothing to learn from: no rows, or none of one kind in a part of the split."""


@dataclass(frozen=True)
class Examples:
    """Rows in the order of (time of request, request, position); build with :func:`prepare`."""

    frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def matrix(self) -> NDArray[np.float32]:
        """The model input, float32 [n, len(MODEL_INPUT)]; NaN is missing."""
        return np.ascontiguousarray(self.frame[list(MODEL_INPUT)].to_numpy(dtype=np.float32))

    @cached_property
    def requests(self) -> NDArray[np.int64]:
        """The list each row belongs to, as codes 0, 1, 2, ... in order of appearance, int64 [n]."""
        return np.asarray(pd.factorize(self.frame["request_id"])[0], dtype=np.int64)

    def labels(self, name: str) -> NDArray[np.float64]:
        """0/1 of one of ``LABELS``, float64 [n]."""
        return self.frame[LABELS[name]].to_numpy(dtype=np.float64)

    @property
    def constant_features(self) -> tuple[str, ...]:
        """The columns of the model input with one value in all rows, or none; trees make no use of them."""
        matrix = self.matrix
        known = ~np.isnan(matrix)
        lowest = np.where(known, matrix, np.inf).min(axis=0)
        highest = np.where(known, matrix, -np.inf).max(axis=0)
        partly = known.any(axis=0) & ~known.all(axis=0)
        return tuple(
            name
            for name, constant in zip(MODEL_INPUT, (lowest >= highest) & ~partly, strict=True)
            if constant
        )

    def has_both_kinds(self, name: str) -> bool:
        """Whether some rows have the label and some have not."""
        labels = self.labels(name)
        return len(labels) > 0 and bool(labels.min() < labels.max())

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the content: the same rows in whatever order and engine give the same digest."""
        columns = [*KEYS, *LABELS.values(), *MODEL_INPUT]
        digest = hashlib.sha256(",".join(columns).encode())
        rows = pd.util.hash_pandas_object(self.frame[columns], index=False).to_numpy()
        digest.update(np.sort(rows).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Split:
    """Three consecutive spans of time; a request is in one of them only."""

    train: Examples
    calibration: Examples
    test: Examples

    @property
    def parts(self) -> dict[str, Examples]:
        return {"train": self.train, "calibration": self.calibration, "test": self.test}


def prepare(frame: pd.DataFrame, now: datetime | None = None) -> Examples:
    """The frame's columns that matter, with fixed dtypes and in a fixed order of rows.

    Raises:
        DatasetError: columns are missing, a label is neither 0 nor 1, a moment is missing, or more than
            ``CLOCKS_DIFFER`` after ``now`` (the machine's clock without it).
        NoExamplesError: there are no rows.
    """
    wanted = [*KEYS, *LABELS.values(), *MODEL_INPUT]
    if absent := [column for column in wanted if column not in frame.columns]:
        raise DatasetError(
            f"The training examples lack the columns {', '.join(absent)}: run `tideline features build`."
        )
    if frame.empty:
        raise NoExamplesError("There are no labelled examples to train on.")
    frame = frame[wanted].copy()
    frame["event_timestamp"] = pd.to_datetime(frame["event_timestamp"], utc=True).dt.as_unit("ns")
    frame["request_id"] = frame["request_id"].astype(str)
    for column in ("user", "author", "tweet", "position"):
        frame[column] = frame[column].astype(np.int64)
    for column in (*LABELS.values(), *MODEL_INPUT):
        frame[column] = frame[column].astype(np.float32)
    for column in LABELS.values():
        if not frame[column].isin((0.0, 1.0)).all():
            raise DatasetError(f"The column {column} of the training examples must be 0 or 1 in every row.")
    _check_moments(frame["event_timestamp"], now or datetime.now(UTC))
    started = frame.groupby("request_id")["event_timestamp"].transform("min")
    frame = frame.assign(started=started).sort_values(["started", "request_id", "position", "tweet"])
    return Examples(frame.drop(columns="started").reset_index(drop=True))


def _check_moments(moments: pd.Series[pd.Timestamp], now: datetime) -> None:
    if moments.isna().any():
        raise DatasetError(
            "The column event_timestamp of the training examples must hold a moment in every row."
        )
    future = moments > pd.Timestamp(now) + CLOCKS_DIFFER
    if future.any():
        raise DatasetError(
            f"{int(future.sum()):,} training examples are from the future, the first of "
            f"{moments[future].min().isoformat(timespec='seconds')}: check the clocks of what served them."
        )


def time_split(examples: Examples, calibration: float = 0.15, test: float = 0.2) -> Split:
    """The earliest requests to train on, then ``calibration`` and ``test`` as shares of the requests.

    Judged on later requests only: a random split would let a model learn a reader's later behaviour.

    Raises:
        NoExamplesError: a part has no engaged item, or no other.
    """
    requests = examples.requests
    count = int(requests[-1]) + 1
    test_from = round(count * (1 - test))
    calibration_from = round(count * (1 - test - calibration))
    part = np.digitize(requests, [calibration_from, test_from])
    split = Split(*(Examples(examples.frame[part == index].reset_index(drop=True)) for index in range(3)))
    for name, rows in split.parts.items():
        if not rows.has_both_kinds(ENGAGED):
            raise NoExamplesError(
                f"There are too few labelled examples: the {name} part of {count} lists needs rows that "
                f"were {ENGAGED} and rows that were not."
            )
    return split
