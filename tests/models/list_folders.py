"""Small folders of the judged datasets' file formats, with something to learn in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

START = pd.Timestamp("2019-11-09")


def write_news(folder: Path, lists: int = 150, first_list: int = 0, seed: int = 5) -> Path:
    """Lists of eight of forty news, a minute apart; the lower its number the more a news is clicked."""
    rng = np.random.default_rng(seed + first_list)
    folder.mkdir(parents=True)
    candidates, impressions = [], []
    for number in range(first_list, first_list + lists):
        ts, user = START + pd.Timedelta(minutes=number), f"U{number % 30}"
        shown = rng.choice(40, 8, replace=False)
        clicked = rng.random(8) < np.where(shown < 10, 0.6, 0.05)
        impressions.append((number, user, ts, "N1 N2 N3" if number % 30 else None))
        candidates += [
            (number, user, ts, place, f"N{news}", int(click))
            for place, (news, click) in enumerate(zip(shown, clicked, strict=True))
        ]
    columns = ["impression_id", "user_id", "ts", "position", "news_id", "clicked"]
    pd.DataFrame(candidates, columns=columns).to_parquet(folder / "candidates.parquet", index=False)
    pd.DataFrame(impressions, columns=["impression_id", "user_id", "ts", "history"]).to_parquet(
        folder / "impressions.parquet", index=False
    )
    news = pd.DataFrame({"news_id": ["N1", "N2"], "subcategory": ["nfl", "weather"]})
    news.to_parquet(folder / "news.parquet", index=False)
    return folder


def write_cascade(folder: Path, lists: int = 150, first_list: int = 0, seed: int = 5) -> Path:
    """Viewers 0 to 9 follow authors 10 to 29 and act on whom others acted on in the last minute."""
    rng = np.random.default_rng(seed + first_list)
    folder.mkdir(parents=True)
    rows, acts = [], []
    for number in range(first_list, first_list + lists):
        ts, viewer = 1_341_100_800 + 60 * number, number % 10
        shown = rng.choice(np.arange(10, 30), 6, replace=False)
        hot = shown[0] if rng.random() < 0.8 else shown[1]
        rows += [
            (number, viewer, ts, author, ts - int(rng.integers(1, 3600)), int(author == hot), None)
            for author in shown
        ]
        acts += [(50 + number % 7, shown[0], ts - 30, "MT"), (viewer, hot, ts, "RT"), (viewer, hot, ts, "MT")]
    columns = ["impression_id", "viewer", "ts", "author", "author_last_seen_ts", "engaged", "kind"]
    pd.DataFrame(rows, columns=columns).astype({"kind": object}).to_parquet(
        folder / "candidate_lists.parquet", index=False
    )
    pd.DataFrame(acts, columns=["user", "target", "ts", "kind"]).to_parquet(
        folder / "activity.parquet", index=False
    )
    edges = [(viewer, author) for viewer in range(10) for author in range(10, 30)]
    pd.DataFrame(edges, columns=["follower", "followee"]).to_parquet(folder / "follows.parquet", index=False)
    return folder


def write_tweets(folder: Path, posts: int = 1500, first_post: int = 0, seed: int = 5) -> Path:
    """Posts of twenty authors, an hour apart; those of the first five, and high ratings, are engaged with."""
    rng = np.random.default_rng(seed + first_post)
    folder.mkdir(parents=True)
    number = np.arange(first_post, first_post + posts)
    author = rng.integers(0, 20, posts)
    rating = rng.integers(1, 11, posts)
    retweet = rng.random(posts) < 0.02
    engaged = retweet | (rng.random(posts) < np.where(author < 5, 0.3, 0.02) * np.where(rating > 7, 2, 0.7))
    pd.DataFrame(
        {
            "tweet_id_approx": number,
            "created_at": pd.Timestamp("2013-03-01") + pd.to_timedelta(number, unit="h"),
            "user_id": pd.array(author, dtype="Int64"),
            "imdb_item_id": pd.array(rng.integers(0, 50, posts), dtype="Int64"),
            "rating": rating,
            "is_retweet": retweet.astype(int),
            "n_mentions": np.where(author == 3, 977, 0),
            "user_followers": 1000 + 37 * author,
            "user_friends": 500 + 11 * author,
            "user_statuses": 2000 * (1 + author) + number,
            "user_favourites": 100 + 7 * author,
            "user_listed": author,
            "engagement": engaged * rng.integers(1, 4, posts),
        }
    ).to_parquet(folder / "tweets.parquet", index=False)
    return folder
