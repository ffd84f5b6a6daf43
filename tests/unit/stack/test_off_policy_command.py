"""``tideline off-policy``: a model judged on contested slots from the lake, or one sentence why it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from features.label_window import LabelWindow, write_label_window
from features.labels import HEADS, LABELS
from features.names import FEATURE_SERVICE, MODEL_INPUT
from ingestion.events import Impression
from ingestion.lake_files import write_lake
from stack.cli import app
from stack.errors import is_user_error
from training.calibration import fit_isotonic
from training.dataset import prepare, time_split
from training.export import TrainedHead, assemble, write
from training.formula import DEFAULT_WEIGHTS
from training.heads import HeadParameters, train_head

PAGES, READERS, SHARE = 1500, 75, 0.2
Make = Callable[..., pd.DataFrame]
Change = Callable[[Impression], Impression]
Plant = Callable[[Change], None]


@pytest.fixture(scope="module")
def bundle(examples_frame: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of what decides in the examples."""
    split = time_split(prepare(examples_frame()))
    heads = {}
    for head in HEADS:
        held_out = (split.calibration.matrix, split.calibration.labels(head))
        small = HeadParameters(trees=15, leaves=7)
        booster = train_head(split.train.matrix, split.train.labels(head), held_out, small, 1, 1)
        raw = np.asarray(booster.predict(split.calibration.matrix, num_threads=1))
        heads[head] = TrainedHead(
            booster, fit_isotonic(raw, split.calibration.labels(head)), DEFAULT_WEIGHTS[head]
        )
    folder = tmp_path_factory.mktemp("model") / "bundle"
    write(folder, *assemble("small", heads, None, "0" * 64, split.test.matrix[:3]), {})
    return folder


@pytest.fixture(scope="module")
def examples(examples_frame: Make) -> pd.DataFrame:
    """Lists of two, ten minutes apart."""
    frame = examples_frame(lists=PAGES, size=2, seed=9)
    page = frame["request_id"].factorize()[0]
    moments = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(page * 10, unit="min")
    return frame.assign(user=page % READERS, event_timestamp=moments)


@pytest.fixture(scope="module")
def served(examples: pd.DataFrame) -> tuple[list[Impression], pd.DataFrame]:
    """Pages whose contested slot holds the first of a list, or explored the second; what they show."""
    explored = np.random.default_rng(3).random(PAGES) < SHARE
    shown = 2 * np.arange(PAGES) + explored
    matrix = examples[list(MODEL_INPUT)].astype(object)
    vectors = [tuple(row) for row in matrix.where(matrix.notna(), None).to_numpy().tolist()]
    tweets = examples["tweet"].tolist()
    events = [
        Impression(
            event_id=f"{item['request_id']}:7",
            ts=int(item["event_timestamp"].timestamp() * 1000),
            request_id=item["request_id"],
            user_id=item["user"],
            tweet_id=item["tweet"],
            author_id=1,
            position=7,
            source="following",
            rung="full",
            feature_service=FEATURE_SERVICE,
            features=vectors[row],
            alternative=tweets[row ^ 1],
            alternative_author=1,
            alternative_features=vectors[row ^ 1],
            alternative_propensity=1 - SHARE if swapped else SHARE,
        )
        for row, swapped, item in zip(
            shown.tolist(), explored.tolist(), examples.iloc[shown].to_dict("records"), strict=True
        )
    ]
    return events, examples.iloc[shown]


@pytest.fixture
def plant(home: Path, served: tuple[list[Impression], pd.DataFrame]) -> Plant:
    """Writes the lake, after a change of its impressions, and the examples."""
    events, shown = served

    def write_both(change: Change) -> None:
        uncontested = msgspec.structs.replace(events[0], event_id="0", position=0, alternative=None)
        write_lake(home / "lake", [*map(change, events), change(events[0]), uncontested])
        folder = home / "offline" / "training_examples"
        folder.mkdir(parents=True)
        shown.to_parquet(folder / "part-0.parquet")
        (folder / "_SUCCESS").touch()
        newest_ms = int(shown["event_timestamp"].max().timestamp() * 1000)
        write_label_window(home / "offline", LabelWindow(newest_ms, HALF_A_DAY_MS))

    return write_both


def as_it_was(shown: Impression) -> Impression:
    return shown


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment of its own, whose lake and examples are below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDELINE_LAKE__PATH", str(tmp_path / "lake"))
    monkeypatch.setenv("TIDELINE_FEATURES__OFFLINE", str(tmp_path / "offline"))
    return tmp_path


HALF_A_DAY_MS = 12 * 3_600_000
UNTIL = ("--until", "2026-02-01")


def refusal(*arguments: str) -> str:
    outcome = CliRunner().invoke(app, ["off-policy", *arguments])
    assert outcome.exit_code == 1
    assert outcome.exception is not None
    assert is_user_error(outcome.exception)
    return str(outcome.exception)


def test_a_model_of_what_decides_is_worth_more_than_chance(
    plant: Plant, bundle: Path, examples: pd.DataFrame, served: tuple[list[Impression], pd.DataFrame]
) -> None:
    plant(as_it_was)
    shown = served[1]
    outcome = CliRunner().invoke(
        app, ["off-policy", str(bundle), *UNTIL, "--clip", "3", "--json"], catch_exceptions=False
    )
    found = json.loads(outcome.stdout)
    assert (found["decisions"], found["readers"], found["left_out"]) == (PAGES, READERS, {})
    worth = sum(weight * shown[LABELS[head]].mean() for head, weight in DEFAULT_WEIGHTS.items())
    estimates = found["estimates"]
    assert estimates["logged policy"]["value"] == pytest.approx(worth)
    assert estimates["gain over logged"]["low"] > 0
    # What every item of both would bring, and the best of each two by what was drawn of them.
    both = examples.groupby("request_id")[list(LABELS.values())].max()
    least = examples.groupby("request_id")[LABELS["hidden"]].min().mean()
    best = sum(weight * both[LABELS[head]].mean() for head, weight in DEFAULT_WEIGHTS.items())
    best += DEFAULT_WEIGHTS["hidden"] * (least - both[LABELS["hidden"]].mean())
    assert worth < estimates["doubly robust"]["value"] < best
    assert found["clipped_share"] > 0
    assert found["effective_sample_size"] < PAGES


def test_pages_are_those_of_the_window_and_a_person_reads_a_line_for_each_estimate(
    plant: Plant, bundle: Path
) -> None:
    plant(as_it_was)
    outcome = CliRunner().invoke(app, ["off-policy", str(bundle)], catch_exceptions=False)
    # Of the newest 72 pages, ten minutes apart, the half day that the build waited for labels is not over.
    assert outcome.stdout.startswith(f"{PAGES - 1 - 72:,} contested slots of {READERS} readers")
    assert len(outcome.stdout.splitlines()) == 8


def test_pages_that_logged_no_features_are_left_out_and_counted(plant: Plant, bundle: Path) -> None:
    def change(shown: Impression) -> Impression:
        bare = msgspec.structs.replace(shown, features=None, alternative_features=None)
        other = msgspec.structs.replace(shown, feature_service="ranking_v0")
        return {"0": bare, "1": other}.get(shown.request_id[-1], shown)

    plant(change)
    outcome = CliRunner().invoke(app, ["off-policy", str(bundle), *UNTIL], catch_exceptions=False)
    assert "1,200 contested slots" in outcome.stdout
    assert "left out: 150 pages without logged features" in outcome.stdout
    assert "left out: 150 pages with features of another service" in outcome.stdout


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"alternative": None}, "No page of that time has logged what else could have stood"),
        ({"alternative_propensity": None}, "The propensity is missing in 1,500 of 1,500 decisions"),
        ({"alternative_propensity": 0.0}, "show an item that had no chance"),
        ({"alternative_propensity": 1.0}, "The propensity is not above 0"),
        ({"features": None}, "No page of that time can be used: 1,500 without logged features"),
        ({"request_id": "other"}, "can be used: 1,500 not among the examples"),
        ({"user_id": 1}, "1 readers are too few"),
        ({"alternative_propensity": 0.2}, "Of 0 explored pages 0 are as the new policy would have them"),
    ],
)
def test_a_log_that_cannot_tell_is_refused_in_one_sentence(
    plant: Plant, bundle: Path, changes: dict[str, object], sentence: str
) -> None:
    plant(lambda shown: msgspec.structs.replace(shown, **changes))
    assert sentence in refusal(str(bundle), *UNTIL)


def test_without_examples_or_a_model_it_says_so(home: Path, plant: Plant, bundle: Path) -> None:
    assert "run `tideline features build` first" in refusal(str(bundle))
    plant(as_it_was)
    (home / "empty").mkdir()
    assert "There is no model bundle in empty" in refusal("empty", *UNTIL)
