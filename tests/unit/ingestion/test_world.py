"""The synthetic world: what it plants can be found again, and a seed says everything."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.labels import HEADS
from ingestion.clock import no_shift
from ingestion.datasets.synthetic import Synthetic
from ingestion.events import (
    LONG_DWELL_MS,
    AuthorHidden,
    ClientReport,
    Event,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.snowflake import time_of
from ingestion.world.generate import World, generate, write
from ingestion.world.plan import WorldError, WorldPlan
from ingestion.world.schema import EVENT_FILES, FILES

PLAN = WorldPlan(seed=3, users=150, days=2, followees=20, sessions_per_day=2.0)


@pytest.fixture(scope="module")
def world() -> World:
    return generate(PLAN)


@pytest.fixture(scope="module")
def events(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    folder = tmp_path_factory.mktemp("world") / "out"
    write(world, folder)
    dataset = Synthetic(folder)
    return list(dataset.events(no_shift(dataset.recordings)))


def frame(world: World, stem: str) -> pd.DataFrame:
    table: pd.DataFrame = world.tables[stem].to_pandas()
    return table


def test_the_same_plan_gives_the_same_world_and_another_seed_another(world: World) -> None:
    again = generate(PLAN)
    assert all(again.tables[stem].equals(world.tables[stem]) for stem in FILES)
    other = generate(replace(PLAN, seed=4))
    assert not other.tables["tweets"].equals(world.tables["tweets"])


def test_every_event_file_is_in_time_order_and_ids_are_distinct(world: World) -> None:
    for stem in EVENT_FILES:
        assert frame(world, stem)["ts"].is_monotonic_increasing, stem
    made = frame(world, "retweets")
    ids = pd.concat([frame(world, "tweets")["tweet_id"], made.loc[made["active"], "retweet_id"]])
    assert ids.is_unique


def test_ids_hold_the_recorded_time(world: World) -> None:
    tweets = frame(world, "tweets")
    assert [time_of(tweet) for tweet in tweets["tweet_id"]] == tweets["ts"].tolist()


def test_engagements_happen_as_often_as_the_recorded_probability_says(world: World) -> None:
    truth = frame(world, "truth_impressions")
    said = frame(world, "reports")
    named = pd.MultiIndex.from_frame(truth[["request_id", "tweet_id"]])
    for outcome, kind in {
        "opened": said["action"] == "open",
        "dwelt": said["ms"] >= LONG_DWELL_MS,
        "hidden": said["action"].isin(["hide", "report"]),
    }.items():
        truth[outcome] = named.isin(pd.MultiIndex.from_frame(said.loc[kind, ["request_id", "tweet_id"]]))
    for chance, outcome in ((f"p_{name}", name) for name in ("engaged", "retweeted", *HEADS[3:])):
        expected = truth[chance].sum()
        spread = np.sqrt((truth[chance] * (1 - truth[chance])).sum())
        assert abs(truth[outcome].sum() - expected) < 4 * spread


def test_the_truth_ranks_engagements_far_better_than_age_or_popularity(world: World) -> None:
    truth = frame(world, "truth_impressions")

    def auc(score: pd.Series) -> float:
        ranks = score.rank()
        hits = truth["engaged"]
        best = ranks[hits].sum() - hits.sum() * (hits.sum() + 1) / 2
        return float(best / (hits.sum() * (~hits).sum()))

    assert auc(truth["p_engaged"]) > max(auc(-truth["age_hours"]), auc(truth["popularity"])) + 0.1


def test_every_engagement_is_of_a_tweet_that_was_shown_before(world: World) -> None:
    shown = frame(world, "impressions").groupby(["user_id", "tweet_id"])["ts"].min()
    for stem in ("likes", "retweets"):
        for act in frame(world, stem).itertuples():
            assert shown[act.user_id, act.tweet_id] < act.ts
    replies = frame(world, "tweets").dropna(subset=["in_reply_to"])
    assert len(replies) > 0
    for reply in replies.itertuples():
        assert shown[reply.author_id, int(reply.in_reply_to)] < reply.ts


def test_a_burst_stands_in_the_texts_of_its_place_and_hours_alone(world: World) -> None:
    tweets = frame(world, "tweets")
    for burst in frame(world, "truth_bursts").itertuples():
        tagged = tweets[[burst.hashtag in tags for tags in tweets["hashtags"]]]
        assert len(tagged) == burst.tweets
        assert set(tagged["place"]) <= {burst.place}
        assert tagged["ts"].between(burst.start_ms, burst.end_ms).all()
        assert tagged["text"].str.contains("#" + burst.hashtag, regex=False).all()


def test_one_burst_ends_with_the_world(world: World) -> None:
    assert PLAN.end_ms - frame(world, "truth_bursts")["end_ms"].max() == 60_000


def test_hashtags_and_texts_fit_a_tweet(world: World) -> None:
    assert frame(world, "tweets")["text"].str.len().max() <= 280


def test_the_graph_has_celebrities(world: World) -> None:
    followers = frame(world, "truth_users")["followers"].sort_values(ascending=False)
    assert followers.iloc[0] > 4 * followers.median()


def test_a_written_world_reads_back_as_events_in_time_order(world: World, events: list[Event]) -> None:
    assert [event.ts for event in events] == sorted(event.ts for event in events)
    kinds = Counter(type(event) for event in events)
    assert kinds[TweetCreated] == world.rows["tweets"]
    assert kinds[LikeChanged] == world.rows["likes"]
    assert kinds[RetweetChanged] == world.rows["retweets"]
    assert kinds[TweetDeleted] == world.rows["deletes"]
    assert kinds[ClientReport] == world.rows["reports"]
    hidden = frame(world, "reports")["action"].isin(["hide", "report"]).sum()
    assert kinds[AuthorHidden] == hidden > 0
    assert len(events) == sum(world.rows[stem] for stem in EVENT_FILES) + hidden
    assert len({event.event_id for event in events}) == len(events)


def test_a_world_from_before_clients_reported_reads_without_reports(world: World, tmp_path: Path) -> None:
    write(world, tmp_path / "world")
    (tmp_path / "world" / "reports.parquet").unlink()
    dataset = Synthetic(tmp_path / "world")
    kinds = Counter(type(event) for event in dataset.events(no_shift(dataset.recordings)))
    assert kinds[ClientReport] == 0
    assert sum(kinds.values()) == sum(world.rows[stem] for stem in EVENT_FILES if stem != "reports")


def test_every_report_is_of_an_item_that_was_shown_before(world: World) -> None:
    shown = frame(world, "impressions").set_index(["request_id", "position"])
    reports = frame(world, "reports")
    told = shown.loc[pd.MultiIndex.from_frame(reports[["request_id", "position"]])].reset_index(drop=True)
    columns = ["user_id", "tweet_id", "author_id"]
    assert (told[columns].to_numpy() == reports[columns].to_numpy()).all()
    assert (told["ts"] < reports["ts"]).all()
    assert reports["ms"].notna().equals(reports["action"] == "dwell")


def test_a_world_replaces_an_older_one_as_a_whole(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "world"
    write(world, folder)
    (folder / "stale.parquet").touch()
    write(world, folder)
    assert sorted(path.stem for path in folder.iterdir()) == sorted(FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["world"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"users": 3}, "at least 20 users, not 3"),
        ({"days": 0}, "at least one day"),
        ({"users": 10**6}, "does not fit into memory"),
        ({"followees": 0}, "above 0"),
    ],
)
def test_impossible_worlds_are_refused_in_a_sentence(arguments: dict[str, int], sentence: str) -> None:
    with pytest.raises(WorldError, match=sentence):
        WorldPlan(**arguments)  # type: ignore[arg-type]
