"""``news_impressions``: lists of news as shown, the clicks on them, and what their readers had clicked.

The history of a reader's first list counts as read just before that list. A click is known at once.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from features.ranking_log import VERBS, Acts, Candidates, RankingLog
from features.running import Ints
from training.datasets.folders import Folders, check_labels, check_later, codes, milliseconds

NAME = "news_impressions"
CANDIDATES = pa.schema(
    [
        pa.field("impression_id", pa.int64(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("ts", pa.timestamp("ns"), nullable=False),
        pa.field("news_id", pa.string(), nullable=False),
        pa.field("clicked", pa.int64(), nullable=False),
    ]
)
IMPRESSIONS = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("ts", pa.timestamp("ns"), nullable=False),
        pa.field("history", pa.string()),
    ]
)
NEWS = pa.schema(
    [pa.field("news_id", pa.string(), nullable=False), pa.field("subcategory", pa.string(), nullable=False)]
)


def read(folders: Folders) -> RankingLog:
    """The log of both folders.

    Raises:
        DatasetError: a file is not what it should be, or the test folder not the later one.
    """
    shown = folders.read("candidates", CANDIDATES)
    check_labels(shown, "clicked")
    shown["time"] = milliseconds(shown["ts"])
    check_later(shown)
    shown = shown.sort_values(["time", "impression_id", "news_id"], kind="stable", ignore_index=True)
    read_before = _histories(folders.read("impressions", IMPRESSIONS))
    news = folders.read("news", NEWS).drop_duplicates("news_id").set_index("news_id")["subcategory"]
    users, items = (
        codes(pd.concat([shown[column], read_before[column]])) for column in ("user_id", "news_id")
    )
    count = len(shown)
    request = codes(shown["later"], shown["impression_id"])
    time = shown["time"].to_numpy()
    label = shown["clicked"].to_numpy(dtype=np.float64)
    rows = Candidates.shown_together(
        request=request,
        time=time,
        user=users[:count],
        item=items[:count],
        topic=codes(shown["news_id"].map(news)),
        label=label,
        later=shown["later"].to_numpy(),
    )
    acts = Acts(
        time=read_before["time"].to_numpy(),
        user=users[count:],
        author=_unknown(len(read_before)),
        item=items[count:],
        verb=np.full(len(read_before), VERBS.index("read")),
    )
    return RankingLog(rows, acts)


def _histories(impressions: pd.DataFrame) -> pd.DataFrame:
    """One row per news that a reader had clicked before the reader's first list."""
    first = impressions.sort_values("ts", kind="stable").drop_duplicates("user_id")
    first = first.assign(news_id=first["history"].fillna("").str.split(), time=milliseconds(first["ts"]) - 1)
    return first.explode("news_id").dropna(subset=["news_id"])[["user_id", "news_id", "time"]]


def _unknown(count: int) -> Ints:
    return np.full(count, -1, dtype=np.int64)
