"""A model and the requests to judge it on, from a synthetic world alone: no log, no Flink, no registry.

The world shows its people all that they could see, not a page of 20, and at a chance that does not depend on
the place: so every list holds the candidates of a feed request, each with its true worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from features.historical import join_examples, training_frame
from features.settings import FeatureSettings, FeatureStoreSettings
from features.spark_session import spark_session
from features.store import apply_repo, offline_folder, open_store
from ingestion.datasets.synthetic import Synthetic
from ingestion.lake_files import write_lake
from ingestion.world.generate import generate, write
from ingestion.world.plan import Engagement, WorldPlan
from serving.feed.policy import Policy
from serving.feed.rule_costs import JudgedList
from serving.feed.rung_costs import JudgedRequest, order
from serving.feed.selection import Recent, Scored
from timelines.durations import DAY_MS
from timelines.entry import Ids
from timelines.topics import TOPICS, topics_of_hashtags
from training.bundle import Bundle
from training.dataset import Examples, prepare, time_split
from training.formula import DEFAULT_WEIGHTS
from training.train import TrainingPlan, fit

CANDIDATES = 500
STRANGERS, HIDDEN = 0.3, 0.02
"""Shares of authors that stand for accounts not followed and for hidden ones; the world has neither."""


@dataclass(frozen=True)
class Judged:
    """The same requests for the rungs and for the rules; ``rules`` are of the full rung's scores."""

    rungs: list[JudgedRequest]
    rules: list[JudgedList]


def wide_world(users: int, days: int, seed: int) -> WorldPlan:
    """A world whose pages hold up to ``CANDIDATES`` tweets and whose people read few of them."""
    return WorldPlan(
        seed=seed,
        users=users,
        days=days,
        followees=60.0,
        tweets_per_day=6.0,
        sessions_per_day=0.25,
        page=CANDIDATES,
        engagement=Engagement(position=0.0),
    )


def judged(plan: WorldPlan, policy: Policy, folder: Path, announce: Callable[[str], None]) -> Judged:
    """Writes the world below ``folder``, learns from it as ``tideline train`` does, and scores what is later.

    Raises:
        WorldError: the sizes are out of range.
        NoExamplesError: the world is too small to learn from.
    """
    announce("making the world")
    write(generate(plan), folder / "world")
    announce("building the features")
    examples = prepare(_frame(folder, plan.end_ms + DAY_MS))
    split = time_split(examples)
    bundle, _ = fit("costs", split, examples.fingerprint, TrainingPlan(), announce)
    announce("scoring the later lists")
    requests = list(_requests(folder / "world", split.test, bundle))
    rng = np.random.default_rng(plan.seed)
    rules = [_rule_list(request, authors, topics, policy, rng) for request, authors, topics in requests]
    return Judged([request for request, _, _ in requests], rules)


def _frame(folder: Path, until_ms: int) -> pd.DataFrame:
    """The examples of the world with their features, by the same jobs as everywhere."""
    from pipelines.batch.features_job import run
    from pipelines.batch.ticks import BuildTime

    settings = FeatureStoreSettings(
        namespace="costs",
        features=FeatureSettings(
            offline=folder / "offline", registry=folder / "registry.db", quality=folder / "quality"
        ),
    )
    world = Synthetic(folder / "world")
    lake = write_lake(folder / "lake", world.events({world.name: 0}), settings.namespace)
    spark, offline = spark_session(settings.features), offline_folder(settings)
    build = BuildTime(until_ms, datetime.now(UTC))
    run(spark, lake, settings.namespace, offline, settings.features.quality, build, lambda table: None)
    apply_repo(open_store(settings), settings)
    join_examples(settings)
    return training_frame(settings)


def _requests(world: Path, examples: Examples, bundle: Bundle) -> Iterator[tuple[JudgedRequest, Ids, Ids]]:
    """Each list with the authors and the topics of its candidates."""
    columns = ["user_id", "tweet_id", *(f"p_{head}" for head in DEFAULT_WEIGHTS)]
    truth = pq.read_table(world / "truth_impressions.parquet", columns=columns).to_pandas()
    tags = pq.read_table(world / "tweets.parquet", columns=["tweet_id", "hashtags"]).to_pydict()
    topics = {
        tweet: topics_of_hashtags(hashtags)
        for tweet, hashtags in zip(tags["tweet_id"], tags["hashtags"], strict=True)
    }
    shown = examples.frame[["user", "author", "tweet"]]
    known = shown.merge(truth, how="left", left_on=["user", "tweet"], right_on=["user_id", "tweet_id"])
    # The score's own weights on the true chances: what showing the tweet is worth.
    worth = sum(
        weight * known[f"p_{head}"].to_numpy(dtype=np.float64) for head, weight in DEFAULT_WEIGHTS.items()
    )
    light, scores = bundle.light_score(examples.matrix), bundle.score(examples.matrix).score
    ids, authors, requests = known["tweet"].to_numpy(), known["author"].to_numpy(), examples.requests
    for number in range(int(requests[-1]) + 1):
        rows = np.flatnonzero(requests == number)
        request = JudgedRequest(ids[rows], light[rows], scores[rows], np.asarray(worth)[rows])
        of_each = np.array([topics[tweet] for tweet in ids[rows].tolist()], dtype=np.int64)
        yield request, authors[rows], of_each.reshape(-1, TOPICS)


def _rule_list(
    request: JudgedRequest, authors: Ids, topics: Ids, policy: Policy, rng: np.random.Generator
) -> JudgedList:
    """What the full rung scored, with strangers and hidden authors drawn among the list's own."""
    scores = np.full(len(request.ids), np.nan)
    scored = order(request, "full", policy.budgets)
    scores[scored] = request.scores[scored]
    known = np.unique(authors)
    drawn = rng.random(len(known))
    hidden = known[drawn < HIDDEN]
    strangers = known[drawn >= 1 - STRANGERS]
    outside = np.isin(authors, strangers)
    half_life_ms = int(policy.fatigue.half_life_days * DAY_MS)
    recent = replace(
        Recent(), hidden_authors=hidden, hidden_ago_ms=np.full(len(hidden), half_life_ms, dtype=np.int64)
    )
    return JudgedList(Scored(request.ids, authors, topics, outside, scores), recent, request.worth)
