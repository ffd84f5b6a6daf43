"""``tweet_engagement``: posts that rate a film, and whether anybody engages with them.

A list is what one author posts: within the test folder, or within 28 days of the train folder. Labels are
known a day after the post, and label counters are those of the list's first moment: one that kept counting
would carry the list's own labels. Retweets are engaged with by definition, so only originals are judged, and
only they count as outcomes. ``n_mentions`` is a code of the account, not a count.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from features.ranking_log import Candidates, RankingLog
from timelines.durations import DAY_MS
from training.datasets.accounts import account_codes
from training.datasets.folders import Folders, check_labels, check_later, codes, milliseconds

NAME = "tweet_engagement"
LIST_DAYS = 28
COUNTERS = ("followers", "friends", "statuses", "favourites", "listed")
RENAMED = {f"user_{name}": name for name in COUNTERS} | {"n_mentions": "mentions_code"}
NUMBERS = ("tweet_id_approx", "rating", "is_retweet", *RENAMED, "engagement")
TWEETS = pa.schema(
    [
        pa.field("created_at", pa.timestamp("ns"), nullable=False),
        pa.field("user_id", pa.int64()),
        pa.field("imdb_item_id", pa.int64()),
        *(pa.field(name, pa.int64(), nullable=False) for name in NUMBERS),
    ]
)


def read(folders: Folders) -> RankingLog:
    """The log of both folders.

    Raises:
        DatasetError: a file is not what it should be, or the test folder not the later one.
    """
    posts = folders.read("tweets", TWEETS).rename(columns=RENAMED)
    check_labels(posts, "engagement", most=None)
    check_labels(posts, "is_retweet")
    posts["time"] = milliseconds(posts["created_at"])
    check_later(posts)
    posts = posts.sort_values(["time", "tweet_id_approx"], kind="stable", ignore_index=True)
    time, author = posts["time"].to_numpy(), account_codes(posts)
    lists = codes(
        pd.Series(author), posts["later"], (posts["time"] - time[0]) // (LIST_DAYS * DAY_MS) * ~posts["later"]
    )
    unknown = np.full(len(posts), -1, dtype=np.int64)
    rows = Candidates(
        request=np.arange(len(posts)),
        list=lists,
        time=time,
        known=time + DAY_MS,
        counted=posts["time"].groupby(lists).transform("min").to_numpy(),
        user=unknown,
        author=author,
        item=codes(posts["imdb_item_id"]),
        topic=unknown,
        label=np.asarray(posts["engagement"] > 0, dtype=np.float64),
        value=posts["engagement"].to_numpy(dtype=np.float64),
        later=posts["later"].to_numpy(),
        judged=(posts["is_retweet"] == 0).to_numpy(),
        attributes={
            **{name: posts[name].to_numpy(dtype=np.float64) for name in (*COUNTERS, "is_retweet")},
            "rating": posts["rating"].where(posts["rating"].between(0, 10)).to_numpy(dtype=np.float64),
            "mentions_account": np.asarray(posts["mentions_code"] > 0, dtype=np.float64),
        },
    )
    return RankingLog(rows)
