"""The batch jobs on a local Spark session, against plain folds of the same events."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.aggregates import TWEET, EngagementFold, smoothed_rate
from features.context import context_features
from features.names import CONTEXT_FEATURES, FEATURE_SERVICE, MODEL_INPUT, TWEET_ENGAGEMENT, VIEWS
from features.rows import at_age
from features.tallies import values_of
from ingestion.events import (
    ClientReport,
    Event,
    FollowChanged,
    Impression,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.lake import event_folder
from ingestion.lake_files import write_lake
from ingestion.lake_partitions import LakeFileError

pytestmark = pytest.mark.spark

START = 1_700_000_000_000 - 1_700_000_000_000 % 3_600_000
HOUR = 3_600_000
UNTIL = START + 8 * HOUR + 17 * 60_000


def built(spark: Any, folder: Path, events: Iterable[Event]) -> dict[str, pd.DataFrame]:
    """Every table that the batch side makes of the events."""
    from pipelines.batch.features_job import run
    from pipelines.batch.ticks import BuildTime

    lake = write_lake(folder / "lake", events)
    build = BuildTime(UNTIL, datetime.fromtimestamp(UNTIL / 1000, tz=UTC))
    tables = run(spark, lake, "", folder / "offline", folder / "quality", build, lambda table: None)
    return {table.name: pd.read_parquet(folder / "offline" / table.name) for table in tables}


def newest_at(rows: pd.DataFrame, keys: dict[str, int], moment: int) -> pd.Series | None:
    """What a point-in-time join finds: the newest row at or before ``moment``; None without one."""
    chosen = rows
    for name, value in keys.items():
        chosen = chosen[chosen[name] == value]
    chosen = chosen[chosen["event_timestamp"] <= pd.Timestamp(moment, unit="ms", tz="UTC")]
    return chosen.sort_values("event_timestamp").iloc[-1] if len(chosen) else None


def value_at(rows: pd.DataFrame, keys: dict[str, int], moment: int, column: str) -> float:
    """One value of :func:`newest_at`; NaN without a row."""
    row = newest_at(rows, keys, moment)
    return math.nan if row is None else float(row[column])


class World:
    """Random events of six people on twelve tweets, with re-likes, take-backs and deletions."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.events: list[Event] = []
        self.tweets = {100 + index: 1 + index % 6 for index in range(12)}
        for tweet, author in self.tweets.items():
            parent = 100 + self.random.randrange(tweet - 100) if tweet > 104 else None
            self.add(
                TweetCreated, ts=START + (tweet - 100) * 60_000, tweet_id=tweet, author_id=author,
                text="hi #a", hashtags=("a",), in_reply_to=parent if tweet % 2 else None,
                quote_of=None if tweet % 2 else parent,
            )  # fmt: skip
        self.add(TweetDeleted, ts=START + 3 * HOUR, tweet_id=111, author_id=self.tweets[111])
        for _ in range(400):
            ts = START + self.random.randrange(8 * HOUR)
            user, tweet = self.random.randint(1, 6), 100 + self.random.randrange(12)
            owner, active = self.tweets[tweet], self.random.random() < 0.7
            kind = self.random.random()
            if kind < 0.4:
                self.add(LikeChanged, ts=ts, user_id=user, tweet_id=tweet, author_id=owner, active=active)
            elif kind < 0.7:
                self.add(
                    RetweetChanged, ts=ts, retweet_id=10_000 + len(self.events), user_id=user,
                    tweet_id=tweet, author_id=owner, active=active,
                )  # fmt: skip
            else:
                self.add(
                    FollowChanged, ts=ts, follower_id=user, followee_id=self.random.randint(1, 6),
                    active=active,
                )  # fmt: skip
        for request in range(40):
            ts, user = START + self.random.randrange(8 * HOUR), self.random.randint(1, 6)
            for position, tweet in enumerate(self.random.sample(sorted(self.tweets), 4)):
                self.add(
                    Impression, ts=ts, request_id=f"r{request}", user_id=user, tweet_id=tweet,
                    author_id=self.tweets[tweet], position=position, source="following", rung="recorded",
                )  # fmt: skip

    def add(self, event_type: type[Event], **fields: Any) -> None:
        self.events.append(event_type(event_id=f"e{len(self.events):05}", **fields))

    def of(self, event_type: type[Event], before: int = UNTIL) -> list[Any]:
        chosen = [event for event in self.events if type(event) is event_type and event.ts < before]
        return sorted(chosen, key=lambda event: event.order)


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=11)


@pytest.fixture(scope="module")
def tables(spark: Any, world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    redelivered = [*world.events, *world.events[::7]]
    return built(spark, tmp_path_factory.mktemp("world"), redelivered)


def ticks(every: int) -> Sequence[int]:
    return range(START + every, UNTIL + 1, every)


def standing(world: World, event_type: type[Event], fields: Sequence[str], before: int) -> list[Any]:
    """The last event of each edge that stands just before a moment."""
    last = {tuple(getattr(event, name) for name in fields): event for event in world.of(event_type, before)}
    return [event for event in last.values() if event.active]


def test_tweet_engagement_equals_the_fold_at_any_moment(
    tables: dict[str, pd.DataFrame], world: World
) -> None:
    rows = tables["tweet_engagement"]
    deleted = {event.tweet_id: event.ts for event in world.of(TweetDeleted)}
    changes = sorted(event.ts for event in world.of(LikeChanged))[::9]
    for tick in [*ticks(3_600_000), UNTIL, *changes, *(ts + 1 for ts in changes)]:
        for tweet in world.tweets:
            fold = EngagementFold(TWEET)
            for kind, event_type in (("likes", LikeChanged), ("retweets", RetweetChanged)):
                for event in world.of(event_type, tick):
                    if event.tweet_id == tweet:
                        fold.apply(kind, event.user_id, event.ts, event.event_id, event.active)
            for event in world.of(TweetCreated, tick):
                for kind, target in (("replies", event.in_reply_to), ("quotes", event.quote_of)):
                    if target == tweet and not deleted.get(event.tweet_id, UNTIL) < tick:
                        fold.apply(kind, event.tweet_id, event.ts, event.event_id, True)
            tally = fold.tally()
            age_ms = (tick - tally["version"]).astype(np.float64)
            expected = at_age(TWEET_ENGAGEMENT, values_of(TWEET, tally), age_ms)
            row = newest_at(rows, {"tweet": tweet}, tick)
            # A tweet nobody touched yet has no row.
            found = np.zeros((1, len(TWEET_ENGAGEMENT.columns)), dtype=np.float32)
            if row is not None:
                age_ms = np.array([tick - row.event_timestamp.timestamp() * 1000])
                found[0] = [row[name] for name in TWEET_ENGAGEMENT.columns]
                found = at_age(TWEET_ENGAGEMENT, found, age_ms)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7, err_msg=f"{tweet} {tick}")


def test_edges_and_authored_counts_are_those_just_before_the_tick(
    tables: dict[str, pd.DataFrame], world: World
) -> None:
    for tick in [*ticks(HOUR), UNTIL]:
        follows = standing(world, FollowChanged, ("follower_id", "followee_id"), tick)
        likes = standing(world, LikeChanged, ("user_id", "tweet_id"), tick)
        retweets = standing(world, RetweetChanged, ("user_id", "tweet_id"), tick)
        deleted = {event.tweet_id for event in world.of(TweetDeleted, tick)}
        tweets = [event for event in world.of(TweetCreated, tick) if event.tweet_id not in deleted]
        for person in range(1, 7):
            written = sum(event.author_id == person for event in tweets)
            written += sum(event.user_id == person for event in retweets)
            expected = {
                ("user_activity", "user", "user_followees"): sum(e.follower_id == person for e in follows),
                ("user_activity", "user", "user_tweets"): written,
                ("author_popularity", "author", "author_followers"): sum(
                    e.followee_id == person for e in follows
                ),
                ("author_popularity", "author", "author_likes_received"): sum(
                    e.author_id == person for e in likes
                ),
                ("author_popularity", "author", "author_retweets_received"): sum(
                    e.author_id == person for e in retweets
                ),
            }
            found = {
                place: value_at(tables[place[0]], {place[1]: person}, tick, place[2]) for place in expected
            }
            assert found == expected, (person, tick)


def test_showings_and_rates_cover_what_was_known_before_the_tick(
    tables: dict[str, pd.DataFrame], world: World
) -> None:
    from pipelines.batch.rates import ENGAGEMENT_PRIOR, PRIOR_WEIGHT

    credited = credited_engagements(world)
    for tick in [*ticks(HOUR), UNTIL]:
        for user in range(1, 7):
            shown = [event for event in world.of(Impression, tick) if event.user_id == user]
            hits = sum(1 for event in shown if credited.get((event.request_id, event.tweet_id), UNTIL) < tick)
            rate = smoothed_rate(hits, len(shown), ENGAGEMENT_PRIOR, PRIOR_WEIGHT)
            assert value_at(tables["user_activity"], {"user": user}, tick, "user_impressions") == len(shown)
            found = value_at(tables["user_activity"], {"user": user}, tick, "user_engagement_rate")
            assert found == pytest.approx(rate, rel=1e-6)


def test_the_last_engagement_of_a_pair_ages_until_the_row(
    tables: dict[str, pd.DataFrame], world: World
) -> None:
    rows = tables["user_author_affinity"]
    acts = [(e.user_id, e.author_id, e.ts) for kind in (LikeChanged, RetweetChanged) for e in world.of(kind)
            if e.active]  # fmt: skip
    for event in world.of(TweetCreated):
        for target in (event.in_reply_to, event.quote_of):
            if target is not None:
                acts.append((event.author_id, world.tweets[target], event.ts))
    assert len(rows) > 50
    for row in rows.itertuples():
        moment = int(row.event_timestamp.timestamp() * 1000)
        last = max((ts for user, author, ts in acts
                    if (user, author) == (row.user, row.author) and ts < moment), default=None)  # fmt: skip
        expected = math.nan if last is None else (moment - last) / HOUR
        assert row.pair_hours_since_engagement == pytest.approx(expected, rel=1e-5, nan_ok=True)


def credited_engagements(world: World) -> dict[tuple[str, int], int]:
    """(request, tweet) -> the first act credited to that showing, by trying every pair."""
    acts = [(e.user_id, e.tweet_id, e.ts) for kind in (LikeChanged, RetweetChanged) for e in world.of(kind)
            if e.active]  # fmt: skip
    for event in world.of(TweetCreated):
        acts += [(event.author_id, target, event.ts)
                 for target in (event.in_reply_to, event.quote_of) if target is not None]  # fmt: skip
    credited: dict[tuple[str, int], int] = {}
    for user, tweet, ts in acts:
        shown = [e for e in world.of(Impression) if (e.user_id, e.tweet_id) == (user, tweet) and e.ts <= ts]
        if shown:
            newest = max(e.ts for e in shown)
            request = min(e.request_id for e in shown if e.ts == newest)
            key = (request, tweet)
            credited[key] = min(ts, credited.get(key, ts))
    return credited


def test_examples_are_the_shown_items_once_each_with_the_acts_credited_to_them(
    tables: dict[str, pd.DataFrame], world: World
) -> None:
    examples = tables["training_examples"]
    credited = credited_engagements(world)
    shown = {(event.request_id, event.tweet_id) for event in world.of(Impression)}
    assert sorted(zip(examples.request_id, examples.tweet, strict=True)) == sorted(shown)
    engaged = examples[examples.label_engaged == 1.0]
    assert set(zip(engaged.request_id, engaged.tweet, strict=True)) == set(credited)
    assert (examples.label_engaged >= examples.label_retweeted).all()
    assert 0 < examples.label_retweeted.sum() < examples.label_engaged.sum() < len(examples)
    parts = examples[["label_liked", "label_retweeted", "label_replied"]]
    assert (examples.label_engaged == parts.max(axis=1)).all()
    assert (parts.sum() > 0).all()


def test_the_context_of_an_example_is_what_serving_computes(
    tables: dict[str, pd.DataFrame], world: World
) -> None:
    examples = tables["training_examples"]
    born = {event.tweet_id: event.ts for event in world.of(TweetCreated)}
    shown = {(event.request_id, event.tweet_id): event.ts for event in world.of(Impression)}
    requested = [shown[key] for key in zip(examples.request_id, examples.tweet, strict=True)]
    expected = context_features(
        np.array([born[tweet] for tweet in examples.tweet], dtype=np.int64),
        examples.context_is_retweet.to_numpy(dtype=np.bool_),
        np.array(requested, dtype=np.int64),
    )
    found = examples[[feature.name for feature in CONTEXT_FEATURES]].to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert (expected[:, 0] == 0).any()


def test_an_item_counts_as_a_retweet_if_the_reader_did_not_follow_its_author_then(
    tables: dict[str, pd.DataFrame], world: World
) -> None:
    for row in tables["training_examples"].itertuples():
        moment = int(row.event_timestamp.timestamp() * 1000)
        follows = standing(world, FollowChanged, ("follower_id", "followee_id"), moment)
        known = row.user == row.author or any(
            (event.follower_id, event.followee_id) == (row.user, row.author) for event in follows
        )
        assert row.context_is_retweet == float(not known)


def test_no_row_claims_a_moment_after_the_end_of_the_build(tables: dict[str, pd.DataFrame]) -> None:
    end = pd.Timestamp(UNTIL, unit="ms", tz="UTC")
    for view in VIEWS:
        assert tables[view.name].event_timestamp.max() <= end
        assert not tables[view.name].duplicated([*view.entities, "event_timestamp"]).any()


def test_rows_exist_only_where_a_value_changed(tables: dict[str, pd.DataFrame]) -> None:
    columns_of = list(TWEET_ENGAGEMENT.columns)
    ordered = tables["tweet_engagement"].sort_values(["tweet", "event_timestamp"])
    before = ordered.groupby("tweet")[columns_of].shift()
    assert not (ordered[columns_of] == before).all(axis=1).any()


def example(tweet: int, ts: int, **fields: Any) -> Impression:
    return Impression(
        event_id=f"i{tweet}:{ts}", ts=ts, request_id=fields.pop("request", "r"), user_id=1, tweet_id=tweet,
        author_id=2, position=0, source="following", rung="recorded", **fields,
    )  # fmt: skip


def tweet(tweet_id: int, ts: int, **fields: Any) -> TweetCreated:
    fields = {"text": "héllo", **fields}
    return TweetCreated(event_id=f"t{tweet_id}", ts=ts, tweet_id=tweet_id, author_id=2, **fields)


def test_impressions_from_before_their_newest_fields_are_read_beside_newer_ones(
    spark: Any, tmp_path: Path
) -> None:
    from pipelines.batch.lake import read_events

    events = [example(7, START), example(8, START + 25 * HOUR, arm="e:control", propensity=0.5)]
    lake = write_lake(tmp_path / "lake", events)
    for file in event_folder(lake, "", Impression).glob("day=2023-11-14/*.parquet"):
        pq.write_table(pq.ParquetFile(file).read().drop_columns(["policy", "arm", "propensity"]), file)
    rows = read_events(spark, lake, "", Impression).orderBy("tweet_id").select("arm", "propensity").collect()
    assert [tuple(row) for row in rows] == [(None, None), ("e:control", 0.5)]


def test_an_act_is_credited_to_the_newest_showing_within_a_day(spark: Any, tmp_path: Path) -> None:
    like = LikeChanged(event_id="l", ts=START + 5 * HOUR, user_id=1, tweet_id=7, author_id=2, active=True)
    late = LikeChanged(event_id="m", ts=START, user_id=1, tweet_id=8, author_id=2, active=True)
    events = [
        tweet(7, START - 50 * HOUR),
        tweet(8, START - 50 * HOUR),
        example(7, START, request="early"),
        example(7, START + 5 * HOUR, request="same moment"),
        example(7, START + 6 * HOUR, request="afterwards"),
        example(8, START - 24 * HOUR, request="a day before"),
        like,
        late,
    ]
    examples = built(spark, tmp_path, events)["training_examples"].set_index("request_id")
    assert examples.label_engaged.to_dict() == {
        "early": 0.0,
        "same moment": 1.0,
        "afterwards": 0.0,
        "a day before": 0.0,
    }


def test_a_shorter_window_credits_less_and_is_told_to_who_learns(spark: Any, tmp_path: Path) -> None:
    from features.label_window import LabelWindow, read_label_window

    def liked(tweet_id: int, ts: int) -> LikeChanged:
        return LikeChanged(
            event_id=f"l{tweet_id}", ts=ts, user_id=1, tweet_id=tweet_id, author_id=2, active=True
        )

    said = ClientReport(
        event_id="o", ts=START + HOUR, feed_request_id="opened too late", user_id=1, tweet_id=9, position=0,
        action="open",
    )  # fmt: skip
    shown = [example(7, START, request="in time"), example(8, START, request="too late")]
    events = [
        *(tweet(number, START - HOUR) for number in (7, 8, 9)),
        *shown,
        example(9, START, request="opened too late"),
        liked(7, START + HOUR - 1),
        liked(8, START + HOUR),
        said,
    ]
    lake = write_lake(tmp_path / "lake", events)
    build_until(spark, lake, tmp_path / "offline", UNTIL, attribution_ms=HOUR)
    examples = pd.read_parquet(tmp_path / "offline" / "training_examples").set_index("request_id")
    assert examples["label_liked"].to_dict() == {"in time": 1.0, "too late": 0.0, "opened too late": 0.0}
    assert examples["label_opened"].sum() == 0
    assert read_label_window(tmp_path / "offline") == LabelWindow(START + HOUR, HOUR)


def test_a_mention_is_credited_to_the_author_that_was_just_shown(spark: Any, tmp_path: Path) -> None:
    def naming(tweet_id: int, ts: int, **fields: Any) -> TweetCreated:
        said = TweetCreated(
            event_id=f"m{tweet_id}", ts=ts, tweet_id=tweet_id, author_id=1, text="@2", mentions=(2,)
        )
        return msgspec.structs.replace(said, **fields)

    events = [
        *(tweet(number, START - HOUR) for number in (7, 8, 9)),
        example(7, START, request="mentioned"),
        naming(20, START + 1),
        example(8, START + HOUR, request="mentioned too late"),
        naming(21, START + HOUR + 10 * 60_000),
        # A reply names whom it answers: it is credited as a reply to 9 and not as a mention besides.
        example(9, START + 2 * HOUR, request="replied to"),
        example(7, START + 2 * HOUR + 1, request="shown in between"),
        naming(22, START + 2 * HOUR + 2, in_reply_to=9),
    ]
    examples = built(spark, tmp_path, events)["training_examples"].set_index("request_id")
    assert examples.label_engaged.to_dict() == {
        "mentioned": 1.0,
        "mentioned too late": 0.0,
        "replied to": 1.0,
        "shown in between": 0.0,
    }


def test_what_a_client_reports_is_a_label_of_the_showing_that_it_names(spark: Any, tmp_path: Path) -> None:
    def report(number: int, action: str, after: int = 60_000, **fields: Any) -> ClientReport:
        named = {"feed_request_id": "r", "user_id": 1, "tweet_id": 7, "position": 0, **fields}
        return ClientReport(event_id=f"c{number}", ts=START + after, action=action, **named)

    labels = ["label_opened", "label_dwelt", "label_hidden"]
    shown = [tweet(7, START - HOUR), example(7, START), example(7, START + HOUR, request="again")]
    cases = {
        "opened and read": ([report(1, "open"), report(2, "dwell", ms=10_000)], [1.0, 1.0, 0.0]),
        "hidden": ([report(1, "hide")], [0.0, 0.0, 1.0]),
        "reported": ([report(1, "report")], [0.0, 0.0, 1.0]),
        "just seen, and passed": ([report(1, "shown"), report(2, "dwell", ms=9_999)], [0.0, 0.0, 0.0]),
        "a dwell without its time": ([report(1, "dwell")], [0.0, 0.0, 0.0]),
        "by somebody else": ([report(1, "open", user_id=2)], [0.0, 0.0, 0.0]),
        "of another page": ([report(1, "open", feed_request_id="r2")], [0.0, 0.0, 0.0]),
        "of another tweet": ([report(1, "open", tweet_id=8)], [0.0, 0.0, 0.0]),
        "before it was shown": ([report(1, "open", after=-1)], [0.0, 0.0, 0.0]),
        "a day later": ([report(1, "open", after=24 * HOUR)], [0.0, 0.0, 0.0]),
    }
    events: list[Event] = []
    for number, (name, (reports, _)) in enumerate(cases.items()):
        # Each case is of a tweet and pages of its own.
        renamed = {"r": name, "again": f"{name}, again", "r2": "nowhere"}
        for event in [*shown, *reports]:
            moved = msgspec.structs.replace(event, event_id=f"{event.event_id}:{number}")
            for field in ("request_id", "feed_request_id"):
                if hasattr(moved, field):
                    moved = msgspec.structs.replace(moved, **{field: renamed[getattr(moved, field)]})
            events.append(msgspec.structs.replace(moved, tweet_id=100 * number + moved.tweet_id))
    examples = built(spark, tmp_path, events)["training_examples"].set_index("request_id")
    for name, (_, expected) in cases.items():
        assert examples.loc[name, labels].tolist() == expected, name
        assert examples.loc[f"{name}, again", labels].tolist() == [0.0, 0.0, 0.0], name


def test_acts_after_the_end_of_the_build_are_not_seen(spark: Any, tmp_path: Path) -> None:
    like = LikeChanged(event_id="l", ts=UNTIL, user_id=1, tweet_id=7, author_id=2, active=True)
    events = [tweet(7, START), example(7, UNTIL - HOUR), like]
    examples = built(spark, tmp_path, events)["training_examples"]
    assert examples.label_liked.tolist() == [0.0]


def test_content_that_a_recording_lacks_is_missing_and_not_zero(spark: Any, tmp_path: Path) -> None:
    events = [
        tweet(7, START, hashtags=("a", "b"), mentions=(3,), in_reply_to=8),
        tweet(8, START - HOUR, text=None),
    ]
    rows = built(spark, tmp_path, events)["tweet_content"].set_index("tweet")
    assert rows.loc[7, ["tweet_length", "tweet_hashtags", "tweet_mentions", "tweet_is_reply"]].tolist() == [
        5.0,
        2.0,
        1.0,
        1.0,
    ]
    assert rows.loc[8, ["tweet_length", "tweet_hashtags"]].isna().all()
    assert rows.loc[8, "tweet_is_reply"] == 0.0


def test_without_impressions_the_examples_are_an_empty_well_formed_table(
    spark: Any, tmp_path: Path, tables: dict[str, pd.DataFrame]
) -> None:
    made = built(spark, tmp_path, [tweet(7, START)])
    assert len(made["training_examples"]) == 0
    assert list(made["training_examples"].columns) == list(tables["training_examples"].columns)
    assert len(made["tweet_content"]) == 1


def test_what_was_logged_with_a_page_stands_beside_its_example(spark: Any, tmp_path: Path) -> None:
    logged = [float(index) for index in range(len(MODEL_INPUT))]
    logged[MODEL_INPUT.index("context_is_retweet")] = 1.0
    features = (None, *logged[1:])
    events = [
        tweet(7, START - 2 * HOUR),
        example(7, START, feature_service=FEATURE_SERVICE, features=features),
        FollowChanged(event_id="f", ts=START - HOUR, follower_id=1, followee_id=2, active=True),
    ]
    [row] = built(spark, tmp_path, events)["training_examples"].to_dict("records")
    assert row["context_is_retweet"] == 1.0
    assert row["context_age_hours"] == 2.0
    kept = [None if math.isnan(value) else value for value in row["logged_features"]]
    assert kept == list(features)


def test_an_empty_day_and_what_a_dead_writer_left_are_passed_over(spark: Any, tmp_path: Path) -> None:
    lake = write_lake(tmp_path / "lake", [tweet(7, START - HOUR), example(7, START)])
    folder = event_folder(lake, "", Impression)
    (folder / "day=2023-11-20").mkdir()
    (folder / "_temporary" / "0").mkdir(parents=True)
    (day,) = folder.glob("day=*/part-0.parquet")
    for name in (".part-9.parquet.crc", ".part-1.parquet.inprogress", "_part-2"):
        (day.parent / name).write_bytes(b"half a file")
    build_until(spark, lake, tmp_path / "offline", UNTIL)
    assert len(pd.read_parquet(tmp_path / "offline" / "training_examples")) == 1


def test_a_file_cut_short_is_named(spark: Any, tmp_path: Path) -> None:
    lake = write_lake(tmp_path / "lake", [tweet(7, START - HOUR), example(7, START)])
    (torn,) = event_folder(lake, "", Impression).glob("day=*/part-0.parquet")
    torn.write_bytes(torn.read_bytes()[:-100])
    with pytest.raises(LakeFileError, match=f"^{torn} is not a whole Parquet file: take it away"):
        build_until(spark, lake, tmp_path / "offline", UNTIL)


def test_a_file_without_a_column_that_every_event_has_is_named(spark: Any, tmp_path: Path) -> None:
    lake = write_lake(tmp_path / "lake", [tweet(7, START - HOUR), example(7, START)])
    (narrow,) = event_folder(lake, "", Impression).glob("day=*/part-0.parquet")
    # The model came later than the first files: those without it are read.
    pq.write_table(pq.read_table(narrow, partitioning=None).drop_columns(["model"]), narrow)
    build_until(spark, lake, tmp_path / "offline", UNTIL)
    pq.write_table(pq.read_table(narrow, partitioning=None).drop_columns(["user_id"]), narrow)
    with pytest.raises(LakeFileError, match=f"^{narrow} lacks user_id, which every impression event has"):
        build_until(spark, lake, tmp_path / "offline", UNTIL)


def test_labels_of_one_kind_are_told_and_stop_no_features(spark: Any, tmp_path: Path) -> None:
    lake = write_lake(tmp_path / "lake", [tweet(7, START - HOUR), example(7, START)])
    build_until(spark, lake, tmp_path / "offline", UNTIL)
    told = msgspec.json.decode((tmp_path / "quality" / "labels.json").read_bytes())
    failed = {
        result["expectation_config"]["kwargs"]["column"]
        for result in told["results"]
        if not result["success"]
    }
    assert not told["success"]
    assert failed == {"label_engaged"}  # a kind of act that nobody did is no fault


def test_data_that_fails_its_suite_stops_the_step_and_replaces_nothing(spark: Any, tmp_path: Path) -> None:
    from pipelines.batch.validation import DataQualityError

    good = [tweet(7, START - HOUR), example(7, START)]
    built(spark, tmp_path, good)
    before = (tmp_path / "offline" / "training_examples" / "_SUCCESS").stat().st_mtime_ns
    shown_nowhere = [tweet(7, START - HOUR), msgspec.structs.replace(example(7, START), position=-1)]
    lake = tmp_path / "bad"
    with pytest.raises(DataQualityError, match=r"^The table training_examples fails .*position in 1 rows"):
        built_into(spark, lake, tmp_path / "offline", shown_nowhere)
    assert (tmp_path / "offline" / "training_examples" / "_SUCCESS").stat().st_mtime_ns == before


def built_into(spark: Any, folder: Path, offline: Path, events: Iterable[Event]) -> None:
    build_until(spark, write_lake(folder, events), offline, UNTIL)


def build_until(
    spark: Any, lake: Path, offline: Path, until_ms: int, attribution_ms: int = 24 * HOUR
) -> None:
    from pipelines.batch.features_job import run
    from pipelines.batch.ticks import BuildTime

    created = datetime.fromtimestamp(until_ms / 1000, tz=UTC)
    build = BuildTime(until_ms, created, attribution_ms=attribution_ms)
    run(spark, lake, "", offline, offline.parent / "quality", build, lambda table: None)
