"""What the report of an experiment is made of: impressions of its arms, and what readers did with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from features.labels import ATTRIBUTION_MS
from ingestion.events import ClientReport, Event, Impression, LikeChanged, RetweetChanged
from ingestion.lake_events import read_columns
from serving.experiments.assignment import arm_label
from serving.experiments.experiment import Experiment

OUTCOMES = ("liked", "retweeted", "opened")
_ACTS: dict[str, type[Event]] = {"liked": LikeChanged, "retweeted": RetweetChanged}
_REPORTED = {"opened": "open", "hidden": "hide", "reported": "report"}


@dataclass(frozen=True)
class Lake:
    """The folder of a lake and the namespace in it; a moment is milliseconds UTC."""

    folder: Path
    namespace: str

    def read(
        self, event_type: type[Event], names: list[str], from_ms: int | None, until_ms: int
    ) -> pd.DataFrame:
        """These columns of the events of one type, each once."""
        rows = read_columns(self.folder, self.namespace, event_type, ["event_id", *names], from_ms, until_ms)
        frame: pd.DataFrame = rows.to_pandas()
        return frame.drop_duplicates("event_id").drop(columns="event_id")


def served(lake: Lake, experiment: Experiment, from_ms: int | None, until_ms: int) -> pd.DataFrame:
    """The impressions of the experiment's arms, ``arm`` without the experiment's name."""
    names = ["ts", "request_id", "user_id", "tweet_id", "author_id", "arm", "latency_ms"]
    shown = lake.read(Impression, names, from_ms, until_ms)
    prefix = arm_label(experiment, "")
    shown = shown[shown["arm"].str.startswith(prefix, na=False).astype(bool)]
    return shown.assign(arm=shown["arm"].str.removeprefix(prefix)).reset_index(drop=True)


def pages(shown: pd.DataFrame) -> pd.DataFrame:
    """One row per page that showed something: ``arm``, ``user_id``, ``latency_ms`` (NaN where not logged)."""
    once = shown.drop_duplicates(["request_id", "ts"])
    return once[["arm", "user_id", "latency_ms"]].astype({"latency_ms": "float64"})


def with_outcomes(
    lake: Lake, shown: pd.DataFrame, until_ms: int, attribution_ms: int = ATTRIBUTION_MS
) -> pd.DataFrame:
    """The impressions with a column of 0 or 1 for each of ``OUTCOMES``, ``hidden`` and ``reported``.

    A like or a retweet is credited to the newest of the impressions of its tweet to its reader at or before
    it, if that is less than ``attribution_ms`` ago; taking it back does not unmake it.
    """
    since = None if shown.empty else int(shown["ts"].min())
    columns = {
        name: _credited(shown, lake, act, since, until_ms, attribution_ms) for name, act in _ACTS.items()
    }
    names = ["feed_request_id", "user_id", "tweet_id", "action"]
    said = lake.read(ClientReport, names, since, until_ms).rename(columns={"feed_request_id": "request_id"})
    keys = ["request_id", "user_id", "tweet_id"]
    items = pd.MultiIndex.from_frame(shown[keys])
    for name, action in _REPORTED.items():
        columns[name] = pd.Series(
            items.isin(pd.MultiIndex.from_frame(said.loc[said["action"] == action, keys]))
        )
    return shown.assign(**{name: found.astype(int) for name, found in columns.items()})


def _credited(
    shown: pd.DataFrame, lake: Lake, act: type[Event], from_ms: int | None, until_ms: int, attribution_ms: int
) -> pd.Series:
    """Whether each impression is credited with an act."""
    acts = lake.read(act, ["ts", "user_id", "tweet_id", "active"], from_ms, until_ms)
    acts = acts[acts["active"].astype(bool)].sort_values("ts")
    showings = shown[["ts", "user_id", "tweet_id"]].assign(row=shown.index).sort_values("ts")
    matched = pd.merge_asof(acts, showings, on="ts", by=["user_id", "tweet_id"], tolerance=attribution_ms - 1)
    return shown.index.to_series().isin(matched["row"].dropna())
