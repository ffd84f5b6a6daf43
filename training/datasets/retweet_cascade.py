"""``retweet_cascade``: whom of those it follows a viewer acts on next, and every act there was.

Its follows have no times: they are one picture of the graph, taken to stand all along. A follow made in the
course of the log is seen too early.

The rows of one second by one user on one target are one act: a retweet, else a reply, else a mention.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.ranking_log import VERBS, Acts, Candidates, Follows, RankingLog
from ingestion.datasets.dataset import DatasetError
from training.datasets.folders import Folders, check_labels, check_later, codes

NAME = "retweet_cascade"
KINDS = {"RT": VERBS.index("retweet"), "RE": VERBS.index("reply"), "MT": VERBS.index("mention")}
HOUR_S = 3600


def _numbers(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.int64(), nullable=False) for name in names]


ACTIVITY = pa.schema([*_numbers("user", "target", "ts"), pa.field("kind", pa.string(), nullable=False)])
FOLLOWS = pa.schema(_numbers("follower", "followee"))
LISTS = pa.schema(_numbers("impression_id", "viewer", "ts", "author", "author_last_seen_ts", "engaged"))


def read(folders: Folders) -> RankingLog:
    """The log of both folders.

    Raises:
        DatasetError: a file is not what it should be, or the test folder not the later one.
    """
    shown = folders.read("candidate_lists", LISTS)
    check_labels(shown, "engaged")
    shown["time"] = shown["ts"] * 1000
    check_later(shown)
    shown = shown.sort_values(["time", "impression_id", "author"], kind="stable", ignore_index=True)
    request = codes(shown["later"], shown["impression_id"])
    time, label = shown["time"].to_numpy(), shown["engaged"].to_numpy(dtype=np.float64)
    rows = Candidates.shown_together(
        request=request,
        time=time,
        user=shown["viewer"].to_numpy(),
        author=shown["author"].to_numpy(),
        label=label,
        later=shown["later"].to_numpy(),
        attributes={"seen_hours": ((shown["ts"] - shown["author_last_seen_ts"]) / HOUR_S).to_numpy()},
    )
    edges = folders.read("follows", FOLLOWS).drop_duplicates(["follower", "followee"])
    follows = Follows.always(edges["follower"].to_numpy(), edges["followee"].to_numpy())
    return RankingLog(rows, _acts(folders), follows)


def _acts(folders: Folders) -> Acts:
    activity = folders.read("activity", ACTIVITY)
    activity["verb"] = activity["kind"].map(KINDS)
    if activity["verb"].isna().any():
        raise DatasetError(f"The column kind of activity must be one of {', '.join(KINDS)}.")
    order = ["ts", "user", "target", "verb"]
    acts = activity.sort_values(order).drop_duplicates(["ts", "user", "target"])
    return Acts(
        time=acts["ts"].to_numpy() * 1000,
        user=acts["user"].to_numpy(),
        author=acts["target"].to_numpy(),
        item=np.full(len(acts), -1, dtype=np.int64),
        verb=acts["verb"].to_numpy(dtype=np.int64),
    )
