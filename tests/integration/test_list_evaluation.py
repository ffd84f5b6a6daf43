"""``tideline evaluate`` on the real records: learned from the earlier part, judged on the later one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from training.list_evaluation import evaluate
from training.list_model import ListPlan

PLAN = ListPlan()
ONE_MEMBER = ListPlan(head=replace(PLAN.head, members=1), order=replace(PLAN.order, members=1))
DATA = Path(os.environ.get("TIDELINE_DATA", Path(__file__).parents[3] / "shared" / "data"))
MOMENTS = {
    "news_impressions": {"candidates": "ts", "impressions": "ts", "news": None},
    "retweet_cascade": {"candidate_lists": "ts", "activity": "ts", "follows": None},
    "tweet_engagement": {"tweets": "created_at"},
}
"""Per dataset its files and the column that says when; None for what holds all along."""


def split(dataset: str, folder: Path, share: float = 0.7) -> tuple[Path, Path]:
    """The rows before and from the moment by which ``share`` of the first file's rows had come."""
    files = MOMENTS[dataset]
    first, moment = next(iter(files.items()))
    cut = pd.read_parquet(DATA / dataset / f"{first}.parquet")[moment].quantile(
        share, interpolation="nearest"
    )
    parts = folder / "train", folder / "test"
    for part, later in zip(parts, (False, True), strict=True):
        part.mkdir()
        for stem, column in files.items():
            rows = pd.read_parquet(DATA / dataset / f"{stem}.parquet")
            kept = rows if column is None else rows[(rows[column] >= cut) == later]
            kept.to_parquet(part / f"{stem}.parquet", index=False)
    return parts


@pytest.mark.parametrize(
    ("dataset", "baseline", "figure"),
    [
        ("news_impressions", "chronological", "auc"),
        ("retweet_cascade", "chronological", "mrr"),
        ("tweet_engagement", "popularity", "auc"),
    ],
)
def test_the_champion_beats_the_baseline_by_more_than_chance(dataset, baseline, figure, tmp_path):
    if not (DATA / dataset).is_dir():
        pytest.skip(f"There is no {dataset} in {DATA}.")
    result = evaluate(dataset, *split(dataset, tmp_path), plan=ONE_MEMBER)
    champion, beaten = (getattr(order, figure) for order in (result.champion, result.baselines[baseline]))
    assert champion.low > beaten.high
    assert result.champion.rce.low > 0
