"""The report of an experiment from the lake: a planted difference is found, through the command line too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ingestion.events import ClientReport, Event, Impression, LikeChanged, RetweetChanged
from ingestion.lake import event_folder
from ingestion.lake_files import write_lake
from serving.experiments.experiment import Arm, Experiment, load_experiment
from serving.experiments.lake import Lake, pages, served, with_outcomes
from stack.cli import app

TEXT = """
format = 1
name = "trial"
salt = "s"
[[arms]]
name = "control"
weight = 0.5
[[arms]]
name = "new"
weight = 0.5
"""
EXPERIMENT = Experiment(1, "trial", "s", (Arm("control", 0.5), Arm("new", 0.5)))
HOUR = 3_600_000
DAY = 24 * HOUR
START = 20_000 * DAY


def shown(
    request: str, user: int, tweet: int, ts: int, arm: str | None, ms: float | None = 20.0
) -> Impression:
    return Impression(
        event_id=f"{request}:{tweet}", ts=ts, request_id=request, user_id=user, tweet_id=tweet,
        author_id=tweet % 50, position=0, source="following", rung="full", arm=arm, latency_ms=ms,
    )  # fmt: skip


def liked(user: int, tweet: int, ts: int, active: bool = True) -> LikeChanged:
    return LikeChanged(
        event_id=f"l{user}:{tweet}:{ts}", ts=ts, user_id=user, tweet_id=tweet, author_id=1, active=active
    )


def said(request: str, user: int, tweet: int, ts: int, action: Any) -> ClientReport:
    return ClientReport(
        event_id=f"{action}{request}:{tweet}", ts=ts, feed_request_id=request, user_id=user, tweet_id=tweet,
        position=0, action=action,
    )  # fmt: skip


def table(folder: Path, events: list[Event]) -> pd.DataFrame:
    lake = Lake(write_lake(folder, events), "")
    until = START + 5 * DAY
    return with_outcomes(lake, served(lake, EXPERIMENT, None, until), until).set_index(
        ["request_id", "tweet_id"]
    )


def test_acts_are_credited_to_the_newest_showing_within_a_day(tmp_path: Path) -> None:
    events: list[Event] = [
        shown("a", 1, 7, START, "trial:control"),
        shown("b", 1, 7, START + HOUR, "trial:control"),
        shown("c", 1, 7, START + 3 * HOUR, "trial:control"),
        shown("c", 1, 8, START + 3 * HOUR, "trial:control"),
        shown("d", 2, 7, START, "trial:new"),
        liked(1, 7, START + 2 * HOUR),
        liked(1, 7, START + 2 * HOUR + 1, active=False),
        liked(1, 8, START + 3 * HOUR + DAY),
        RetweetChanged(
            event_id="r", ts=START, retweet_id=99, user_id=2, tweet_id=7, author_id=1, active=True
        ),
    ]
    found = table(tmp_path, events)
    assert found["liked"].to_dict() == {("a", 7): 0, ("b", 7): 1, ("c", 7): 0, ("c", 8): 0, ("d", 7): 0}
    assert found["retweeted"].to_dict() == {("a", 7): 0, ("b", 7): 0, ("c", 7): 0, ("c", 8): 0, ("d", 7): 1}


def test_reports_of_the_client_belong_to_the_item_of_the_page_that_they_name(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        [
            shown("a", 1, 7, START, "trial:new"),
            shown("b", 1, 7, START + HOUR, "trial:new"),
            said("b", 1, 7, START + HOUR, "hide"),
            said("a", 1, 7, START + HOUR, "open"),
            said("a", 2, 7, START + HOUR, "report"),
        ],
    )
    assert found[["opened", "hidden", "reported"]].to_numpy().tolist() == [[1, 0, 0], [0, 1, 0]]


def test_only_impressions_of_the_experiments_arms_count_each_once(tmp_path: Path) -> None:
    twice = shown("a", 1, 7, START, "trial:new")
    others = [shown("b", 1, 7, START, None), shown("c", 1, 7, START, "trials:new")]
    lake = Lake(write_lake(tmp_path, [twice, twice, *others]), "")
    found = served(lake, EXPERIMENT, None, START + DAY)
    assert found[["request_id", "arm"]].to_numpy().tolist() == [["a", "new"]]
    assert served(lake, EXPERIMENT, START + 1, START + DAY).empty


def test_impressions_from_before_experiments_belong_to_none(tmp_path: Path) -> None:
    lake = Lake(write_lake(tmp_path, [shown("a", 1, 7, START, None)]), "")
    (file,) = event_folder(tmp_path, "", Impression).glob("day=*/*.parquet")
    pq.write_table(pq.ParquetFile(file).read().drop_columns(["arm", "latency_ms"]), file)
    assert served(lake, EXPERIMENT, None, START + DAY).empty


def test_a_scrolled_request_has_a_latency_for_each_of_its_pages(tmp_path: Path) -> None:
    first = [shown("a", 1, tweet, START, "trial:new", 30.0) for tweet in (1, 2)]
    second = [shown("a", 1, tweet, START + 9, "trial:new", None) for tweet in (3, 4)]
    lake = Lake(write_lake(tmp_path, [*first, *second]), "")
    latency = pages(served(lake, EXPERIMENT, None, START + DAY))["latency_ms"].tolist()
    assert latency[0] == 30.0
    assert np.isnan(latency[1])


def planted(latency: bool = True) -> list[Event]:
    """400 readers with two pages of five: the new arm likes more, hides more, and is slower."""
    rng = np.random.default_rng(5)
    events: list[Event] = []
    for user in range(1, 401):
        arm = EXPERIMENT.arm_of(user).name
        new = arm == "new"
        for page in range(2):
            request, ts = f"{user}-{page}", START + page * HOUR
            ms = float(rng.gamma(8, 5) * (2 if new else 1)) if latency else None
            for _ in range(5):
                tweet = int(rng.integers(1, 1 << 40))
                events.append(shown(request, user, tweet, ts, f"trial:{arm}", ms))
                if rng.random() < (0.30 if new else 0.15):
                    events.append(liked(user, tweet, ts + 60_000))
                if rng.random() < (0.06 if new else 0.01):
                    events.append(said(request, user, tweet, ts + 60_000, "hide"))
    return events


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment whose lake is in ``lake`` and whose experiment is ``trial.toml``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDELINE_LAKE__PATH", str(tmp_path / "lake"))
    (tmp_path / "trial.toml").write_text(TEXT)
    return tmp_path


def run(*arguments: str) -> str:
    outcome = CliRunner().invoke(app, ["experiment", "report", *arguments], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def test_the_command_finds_what_was_planted(home: Path) -> None:
    write_lake(home / "lake", planted())
    report = json.loads(run("--experiment", "trial.toml", "--json"))
    assert (report["impressions"], report["pages"], report["pages_without_latency"]) == (4000, 800, 0)
    assert report["split"]["holds"]
    assert report["strays"] == 0
    of_new = {row["metric"]: row for row in report["metrics"] if row["arm"] == "new"}
    assert of_new["liked"]["difference"]["low"] < 0.15 < of_new["liked"]["difference"]["high"]
    assert of_new["liked"]["difference"]["low"] > 0
    assert not of_new["liked"]["breached"]
    assert {metric for metric, row in of_new.items() if row["breached"]} == {"hidden", "latency_p99_ms"}


def test_the_command_takes_the_experiment_under_way_and_prints_a_line_for_each_figure(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDELINE_SERVING__EXPERIMENT", "trial.toml")
    write_lake(home / "lake", planted())
    text = run()
    assert text.startswith("trial: 4,000 impressions on 800 pages\n")
    assert text.count("GUARDRAIL BREACHED") == 2
    since_second_page = run("--since", "2024-10-04T00:30:00")
    assert since_second_page.startswith("trial: 2,000 impressions on 400 pages\n")


def test_a_latency_that_was_not_logged_is_said_to_be_missing(home: Path) -> None:
    write_lake(home / "lake", planted(latency=False))
    text = run("--experiment", "trial.toml")
    assert "latency_p99_ms: 800 of 800 pages did not log what they took." in text
    assert "latency_p99_ms       new             unknown" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "No experiment is under way"),
        (("--experiment", "trial.toml"), "no impressions of the experiment trial"),
        (("--experiment", "none.toml"), "none.toml"),
    ],
)
def test_what_cannot_be_reported_is_one_sentence(
    home: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = CliRunner().invoke(app, ["experiment", "report", *arguments])
    assert sentence in str(outcome.exception)
    assert load_experiment(home / "trial.toml") == EXPERIMENT
