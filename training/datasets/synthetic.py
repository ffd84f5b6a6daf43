"""``synthetic``: pages of a world by ``tideline world``, and the chance of engagement planted in them.

The planted chance is no feature: it is the order that all others are measured by. Two folders that begin at
the same moment are two worlds: the second is moved behind the first, with people and tweets of its own. What
came of a page is known once its reader has done the last of it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from features.ranking_log import TRUTH, VERBS, Acts, Candidates, Follows, RankingLog, Texts
from features.running import Floats, Ints
from ingestion.datasets.dataset import DatasetError
from ingestion.events import LONG_DWELL_MS
from ingestion.world.schema import FOLLOWS, LIKES, REPORTS, RETWEETS, TRUTH_IMPRESSIONS, TWEETS
from timelines.durations import DAY_MS, HOUR_MS
from training.datasets.folders import Folders, check_later, codes

NAME = "synthetic"
IDS = ("user_id", "author_id", "tweet_id", "in_reply_to", "quote_of", "follower_id", "followee_id")
SHOWN_COLUMNS = ("request_id", "user_id", "author_id", "tweet_id", "ts", "p_engaged", "engaged")
SHOWN = pa.schema([TRUTH_IMPRESSIONS.field(name).with_nullable(False) for name in SHOWN_COLUMNS])


def read(folders: Folders) -> RankingLog:
    """The log of both folders.

    Raises:
        DatasetError: a file is not what it should be, or the test folder not the later one.
    """
    shown = folders.read("truth_impressions", SHOWN)
    if not shown["p_engaged"].between(0.0, 1.0).all():
        raise DatasetError("The column p_engaged must be a chance, from 0 to 1, in every row.")
    first, last = (shown.loc[shown["later"] == later, "ts"] for later in (False, True))
    other_world = abs(int(last.min()) - int(first.min())) < DAY_MS // 2
    move = int(first.max()) - int(last.min()) + DAY_MS if other_world else 0
    frames = {
        stem: _placed(folders.read(stem, schema), move)
        for stem, schema in (
            ("tweets", TWEETS),
            ("likes", LIKES),
            ("retweets", RETWEETS),
            ("follows", FOLLOWS),
        )
    }
    shown = _placed(shown, move).rename(columns={"ts": "time"})
    check_later(shown)
    shown = shown.sort_values(["time", "request_id", "tweet_id"], kind="stable", ignore_index=True)
    tweets = frames["tweets"].drop_duplicates("tweet").set_index("tweet")
    acts, follows = _acts(frames, tweets), frames["follows"]
    words = _words(tweets)
    people = _shared_codes(
        shown["user"],
        shown["author"],
        acts["user"],
        acts["author"],
        follows["follower"],
        follows["followee"],
        words["author"],
    )
    items = _shared_codes(shown["tweet"], acts["tweet"], words["tweet"])
    request = codes(shown["later"], shown["request_id"])
    time, label = shown["time"].to_numpy(), shown["engaged"].to_numpy(dtype=np.float64)
    done_by = [time, _acted(shown, acts)]
    responses: dict[str, Floats] = {}
    if folders.both_have("reports"):
        reported, responses = _reported(shown, _placed(folders.read("reports", REPORTS), move))
        done_by.append(reported)
    known = np.zeros(len(shown), dtype=np.int64)
    np.maximum.at(known, request, np.max(done_by, axis=0))
    written = shown["tweet"].map(tweets["ts"]).to_numpy(dtype=np.float64)
    rows = Candidates.shown_together(
        request=request,
        time=time,
        known=known[request],
        user=people[0],
        author=people[1],
        item=items[0],
        topic=codes(shown["tweet"].map(tweets["hashtags"].str[0])),
        label=label,
        later=shown["later"].to_numpy(),
        attributes={
            "age_hours": (time - written) / HOUR_MS,
            TRUTH: shown["p_engaged"].to_numpy(dtype=np.float64),
        },
        responses=responses,
    )
    done = Acts(acts["ts"].to_numpy(), people[2], people[3], items[1], acts["verb"].to_numpy())
    texts = Texts(words["ts"].to_numpy(), people[6], items[2], codes(words["word"]))
    changed = follows["ts"].to_numpy(), people[4], people[5], follows["active"].to_numpy()
    return RankingLog(rows, done, Follows.of_changes(*changed), texts)


def _placed(frame: pd.DataFrame, move: int) -> pd.DataFrame:
    """Ids as texts that tell the worlds apart where they are two, and the later one's times moved."""
    frame = frame.copy()
    frame["ts"] += np.where(frame["later"], move, 0)
    world = np.where(frame["later"] & (move != 0), "b", "a")
    for column in frame.columns:
        if column in IDS:
            known = frame[column].notna()
            texts = pd.Series(world, index=frame.index) + frame[column].astype("Int64").astype(str)
            frame[column.removesuffix("_id")] = texts.where(known)
    return frame


def _acts(frames: dict[str, pd.DataFrame], tweets: pd.DataFrame) -> pd.DataFrame:
    """Likes, retweets, replies and quotes: ts, user, author, tweet and verb of each, in order of time."""
    parts = [
        frames[stem].loc[frames[stem]["active"], ["ts", "user", "author", "tweet"]].assign(verb=verb)
        for stem, verb in (("likes", "like"), ("retweets", "retweet"))
    ]
    for column, verb in (("in_reply_to", "reply"), ("quote_of", "quote")):
        written = frames["tweets"].dropna(subset=[column])
        parts.append(
            pd.DataFrame(
                {
                    "ts": written["ts"],
                    "user": written["author"],
                    "author": written[column].map(tweets["author"]),
                    "tweet": written[column],
                    "verb": verb,
                }
            )
        )
    acts = pd.concat(parts).sort_values("ts", kind="stable")
    return acts.assign(verb=acts["verb"].map(VERBS.index))


def _acted(shown: pd.DataFrame, acts: pd.DataFrame) -> Ints:
    """When the reader of each row of ``shown`` last acted on its tweet; 0 without an act."""
    last = acts.groupby(["user", "tweet"])["ts"].max()
    found = last.reindex(pd.MultiIndex.from_frame(shown[["user", "tweet"]]))
    return found.fillna(0).to_numpy(dtype=np.int64)


def _reported(shown: pd.DataFrame, reports: pd.DataFrame) -> tuple[Ints, dict[str, Floats]]:
    """Of each row of ``shown`` the time of the last report, 0 without one, and whether it was opened and
    looked at for long."""
    key = ["request_id", "tweet"]
    row = pd.MultiIndex.from_frame(shown[key]).get_indexer(pd.MultiIndex.from_frame(reports[key]))
    reports, row = reports[row >= 0], row[row >= 0]
    last = np.zeros(len(shown), dtype=np.int64)
    np.maximum.at(last, row, reports["ts"].to_numpy())
    opened = (reports["action"] == "open").to_numpy()
    dwelt = ((reports["action"] == "dwell") & (reports["ms"] >= LONG_DWELL_MS)).to_numpy(dtype=bool)
    responses = {}
    for name, reported in (("opened", opened), ("dwelt", dwelt)):
        responses[name] = np.zeros(len(shown))
        responses[name][row[reported]] = 1.0
    return last, responses


def _words(tweets: pd.DataFrame) -> pd.DataFrame:
    """ts, author, tweet and word, a row per different word of each tweet, hashtags being words."""
    words = tweets.reset_index()[["ts", "author", "tweet"]].assign(
        word=tweets["text"].fillna("").str.split().to_numpy()
    )
    return (
        words.explode("word")
        .dropna(subset="word")
        .drop_duplicates(["tweet", "word"])
        .sort_values("ts", kind="stable")
    )


def _shared_codes(*columns: pd.Series) -> list[Ints]:
    """Codes of all columns, the same for the same value wherever it stands."""
    together = codes(pd.concat(columns))
    return np.split(together, np.cumsum([len(column) for column in columns])[:-1])
