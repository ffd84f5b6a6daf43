"""Readers of the judged datasets: what they make of small folders, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from list_folders import write_cascade, write_news, write_tweets

from features.leak_check import leaking
from features.ranking_log import NEVER, VERBS
from ingestion.datasets.dataset import DatasetError
from ingestion.events import LONG_DWELL_MS
from ingestion.world.generate import generate, write
from ingestion.world.plan import WorldPlan
from timelines.durations import DAY_MS
from training.datasets.accounts import account_codes
from training.datasets.registry import read_log
from training.datasets.tweet_engagement import RENAMED

WRITERS = {"news_impressions": write_news, "retweet_cascade": write_cascade, "tweet_engagement": write_tweets}


@pytest.fixture(params=sorted(WRITERS))
def dataset(request, tmp_path):
    """A dataset's name and its two folders, the second the later one."""
    write = WRITERS[request.param]
    return (
        request.param,
        write(tmp_path / "train"),
        write(tmp_path / "test", first_list=10_000)
        if (request.param != "tweet_engagement")
        else write(tmp_path / "test", first_post=10_000),
    )


def test_the_test_folder_continues_the_train_folder(dataset):
    log = read_log(*dataset)
    rows = log.candidates
    assert (np.diff(rows.time) >= 0).all()
    later = rows.later
    assert rows.time[~later].max() <= rows.time[later].min()
    assert 0 < later.sum() < len(rows)
    assert not set(rows.list[later]) & set(rows.list[~later])
    assert (rows.counted <= rows.time).all()


def test_no_feature_of_a_dataset_changes_with_what_is_later(dataset):
    log = read_log(*dataset)
    moment = int(np.quantile(log.candidates.time, 0.7))
    assert leaking(log, moment) == ()


def test_a_folder_may_hold_the_dataset_in_a_folder_of_its_name(tmp_path):
    write_news(tmp_path / "train" / "news_impressions")
    write_news(tmp_path / "test", first_list=1000)
    assert len(read_log("news_impressions", tmp_path / "train", tmp_path / "test").candidates) == 2400


def test_what_a_reader_had_read_comes_before_its_first_list(tmp_path):
    log = read_log(
        "news_impressions", write_news(tmp_path / "a"), write_news(tmp_path / "b", first_list=1000)
    )
    first = np.array([log.candidates.time[log.candidates.user == user].min() for user in log.acts.user])
    assert (log.acts.time == first - 1).all()
    assert len(log.acts.time) == 29 * 3


@pytest.fixture
def worlds(tmp_path):
    """Two worlds that begin at the same moment."""
    folders = [tmp_path / name for name in ("train", "test")]
    for seed, folder in enumerate(folders):
        write(generate(WorldPlan(seed=seed, users=60, days=2)), folder)
    return folders


def test_what_came_of_a_page_is_known_with_the_last_thing_done_on_it(worlds):
    rows = read_log("synthetic", *worlds).candidates
    stored = pd.concat([pd.read_parquet(folder / "reports.parquet") for folder in worlds])
    long = (stored["action"] == "dwell") & (stored["ms"] >= LONG_DWELL_MS)
    assert rows.responses["opened"].sum() == (stored["action"] == "open").sum() > 0
    assert rows.responses["dwelt"].sum() == long.sum() > 0
    reports = pd.read_parquet(worlds[0] / "reports.parquet")
    shown = pd.read_parquet(worlds[0] / "impressions.parquet")
    # As the reader orders them: the rows of the train folder, in order of time.
    shown = shown.sort_values(["ts", "request_id", "tweet_id"]).assign(known=rows.known[~rows.later])
    assert shown.groupby("request_id")["known"].nunique().max() == 1
    likes = pd.read_parquet(worlds[0] / "likes.parquet").query("active")
    for done, on in ((reports, "request_id"), (likes, ["user_id", "tweet_id"])):
        both = shown.merge(done, on=on)
        assert len(both) > 0
        assert (both["known"] >= both["ts_y"]).all()


def test_worlds_without_reports_have_no_responses(worlds):
    (worlds[1] / "reports.parquet").unlink()
    rows = read_log("synthetic", *worlds).candidates
    assert rows.responses == {}
    acted = np.isin(rows.request, rows.request[rows.label > 0])
    assert (rows.known[acted] > rows.time[acted]).all()
    assert (rows.known[~acted] == rows.time[~acted]).mean() > 0.9


def test_follows_of_a_world_count_from_their_moment_on(worlds):
    log = read_log("synthetic", *worlds)
    stored = [pd.read_parquet(folder / "follows.parquet") for folder in worlds]
    rows, follows = log.candidates, log.follows
    assert len(follows.since) == sum(changes["active"].sum() for changes in stored)
    ended = follows.until < NEVER
    assert ended.sum() == sum((~changes["active"]).sum() for changes in stored) > 0
    begins = int(rows.time[rows.later].min())
    # Some edges of the later world are made after its first page, where the earlier one is long over.
    assert 0 < (follows.since > begins).sum() < len(follows.since) / 2
    assert leaking(log, (begins + int(rows.time.max())) // 2) == ()


def test_follows_of_a_cascade_have_no_times_and_stand_all_along(tmp_path):
    log = read_log(
        "retweet_cascade", write_cascade(tmp_path / "a"), write_cascade(tmp_path / "b", first_list=1000)
    )
    assert (log.follows.since < log.candidates.time.min()).all()
    assert (log.follows.until == NEVER).all()


def test_rows_of_one_second_on_one_target_are_one_act(tmp_path):
    log = read_log(
        "retweet_cascade", write_cascade(tmp_path / "a"), write_cascade(tmp_path / "b", first_list=1000)
    )
    assert len(log.acts.time) == 2 * 300
    assert (log.acts.verb == VERBS.index("retweet")).sum() == 300


def test_a_lists_label_counters_are_those_of_its_first_post_and_labels_come_a_day_late(tmp_path):
    log = read_log(
        "tweet_engagement", write_tweets(tmp_path / "a"), write_tweets(tmp_path / "b", first_post=5000)
    )
    rows = log.candidates
    for name in np.unique(rows.list):
        mine = rows.list == name
        assert len(set(rows.author[mine].tolist())) == 1
        assert set(rows.counted[mine].tolist()) == {rows.time[mine].min()}
    assert (rows.known - rows.time == DAY_MS).all()
    assert not rows.judged[rows.attributes["is_retweet"] == 1].any()


def test_posts_without_an_id_are_told_apart_by_their_counters():
    posts = pd.DataFrame(
        {
            "user_id": pd.array([7, 8, None, None, None, None], dtype="Int64"),
            "time": np.arange(6) * DAY_MS,
            "mentions_code": 0,
            "followers": [300, 300, 301, 300, 5000, 300],
            "friends": [200, 900, 200, 901, 900, 900],
            "statuses": [1000, 4000, 1010, 4020, 4030, 100],
            "favourites": [50, 60, 50, 60, 60, 60],
            "listed": [3, 2, 3, 2, 2, 2],
        }
    )
    codes = account_codes(posts)
    assert codes[2] == codes[0]
    assert codes[3] == codes[1]
    # Ten times the followers, or fewer statuses than before, is somebody else.
    assert len({codes[0], codes[1], codes[4], codes[5]}) == 4


def test_what_cannot_be_judged_on_is_refused_in_one_sentence(tmp_path):
    train, test = write_news(tmp_path / "train"), write_news(tmp_path / "test", first_list=1000)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DatasetError,
        match=r"There is no dataset nothing; there are news_impressions, retweet_cascade, synthetic",
    ):
        read_log("nothing", train, test)
    with pytest.raises(DatasetError, match=r"There is no folder .*absent"):
        read_log("news_impressions", train, tmp_path / "absent")
    with pytest.raises(DatasetError, match=r"The folder .*empty is empty"):
        read_log("news_impressions", tmp_path / "empty", test)
    with pytest.raises(DatasetError, match=r"only later rows can judge"):
        read_log("news_impressions", test, train)
    with pytest.raises(DatasetError, match=r"tweets.parquet does not exist"):
        read_log("tweet_engagement", train, test)


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("clicked", 2, "The column clicked must be 0 or 1 in every row."),
        ("clicked", np.nan, "The column clicked of .* holds double, where whole numbers belong."),
        ("clicked", np.inf, "The column clicked of .* holds double, where whole numbers belong."),
        ("news_id", None, "The column news_id of .*"),
        ("ts", None, "lacks the columns ts"),
    ],
)
def test_a_column_that_holds_something_else_is_refused(tmp_path, column, values, sentence):
    train, test = write_news(tmp_path / "train"), write_news(tmp_path / "test", first_list=1000)
    path = test / "candidates.parquet"
    frame = pd.read_parquet(path)
    frame = frame.drop(columns=column) if column == "ts" else frame.assign(**{column: values})
    frame.to_parquet(path, index=False)
    with pytest.raises(DatasetError, match=sentence):
        read_log("news_impressions", train, test)


def test_later_posts_change_nothing_about_whose_the_earlier_ones_are(tmp_path):
    posts = pd.read_parquet(write_tweets(tmp_path / "a") / "tweets.parquet")
    posts = posts.rename(columns=RENAMED).assign(time=np.arange(len(posts)) * DAY_MS // 24)
    posts.loc[500:, "user_id"] = pd.NA
    whole, first = account_codes(posts)[:1000], account_codes(posts[:1000])
    assert len(set(zip(whole, first, strict=True))) == len(set(whole)) == len(set(first))
    assert len(set(whole)) == 20
