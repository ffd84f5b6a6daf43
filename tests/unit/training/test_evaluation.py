"""The report: the model and its baselines on the same lists, flat names for what keeps it."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from features.labels import HEADS
from training.baselines import BASELINES
from training.bundle import Bundle, Scores
from training.calibration import fit_isotonic
from training.dataset import Split, prepare, time_split
from training.evaluation import ModelReport, evaluate
from training.export import TrainedHead, assemble, write
from training.heads import HeadParameters, train_head
from training.plots import write_plots
from training.tables import comparison

Make = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def split(examples_frame: Make) -> Split:
    return time_split(prepare(examples_frame()))


@pytest.fixture(scope="module")
def trained(split: Split) -> tuple[Bundle, dict[str, str]]:
    heads = {}
    for head in HEADS:
        held_out = (split.calibration.matrix, split.calibration.labels(head))
        small = HeadParameters(trees=15, leaves=7)
        booster = train_head(split.train.matrix, split.train.labels(head), held_out, small, 1, 1)
        raw = np.asarray(booster.predict(split.calibration.matrix, num_threads=1))
        heads[head] = TrainedHead(booster, fit_isotonic(raw, split.calibration.labels(head)), 1.0)
    return assemble("test", heads, None, "0" * 64, split.test.matrix[:3])


@pytest.fixture(scope="module")
def report(trained: tuple[Bundle, dict[str, str]], split: Split) -> ModelReport:
    return evaluate(trained[0].score(split.test.matrix), split.test, seed=1)


def test_a_model_of_what_decides_beats_the_baselines(report: ModelReport) -> None:
    assert set(report.baselines) == {ranker.name for ranker in BASELINES}
    for baseline in report.baselines.values():
        assert report.model.ndcg_10.value > baseline.ndcg_10.value
        assert baseline.gain.value == pytest.approx(report.model.ndcg_10.value - baseline.ndcg_10.value)
        assert baseline.gain.low > 0


def test_a_model_that_scores_at_random_does_not(split: Split) -> None:
    rng = np.random.default_rng(0)
    noise = {head: rng.random(len(split.test)) for head in HEADS}
    report = evaluate(Scores(noise, noise["liked"]), split.test, seed=1)
    assert report.heads["liked"].rce.value < 0
    assert report.heads["liked"].auc == pytest.approx(0.5, abs=0.05)


def test_only_lists_of_both_kinds_are_counted(report: ModelReport, split: Split) -> None:
    engaged = split.test.frame.groupby("request_id")["label_engaged"].mean()
    assert report.lists == int(((engaged > 0) & (engaged < 1)).sum())


def test_the_slices_by_author_cover_the_rows(report: ModelReport, split: Split) -> None:
    slices = report.heads["liked"].by_popularity
    assert list(slices) == ["1", "2", "3", "4", "5"]
    assert sum(part.rows for part in slices.values()) == len(split.test)


def test_authors_without_a_known_number_of_followers_are_a_slice_of_their_own(
    trained: tuple[Bundle, dict[str, str]], examples_frame: Make
) -> None:
    frame = examples_frame()
    frame["author_followers"] = np.nan
    test = time_split(prepare(frame)).test
    report = evaluate(trained[0].score(test.matrix), test, seed=1)
    assert list(report.heads["liked"].by_popularity) == ["unknown"]


def test_every_figure_has_a_flat_name_and_is_a_number(report: ModelReport) -> None:
    flat = report.metrics()
    assert {"liked.ap", "hidden.ap.low", "retweeted.rce", "model.mrr", "hot.ndcg_10.high"} <= set(flat)
    assert all(math.isfinite(value) for value in flat.values())


def test_what_is_written_loads_and_scores_as_what_was_judged(
    trained: tuple[Bundle, dict[str, str]], split: Split, report: ModelReport, tmp_path: Path
) -> None:
    bundle, texts = trained
    written = write(tmp_path / "bundle", bundle, texts, report.metrics() | {"broken": float("nan")})
    matrix = split.test.matrix
    assert written.score(matrix).score.tolist() == bundle.score(matrix).score.tolist()
    assert written.manifest.metrics["liked.ap"] == report.heads["liked"].ap.value
    assert written.manifest.metrics["broken"] is None


def test_the_plots_are_png_files(
    trained: tuple[Bundle, dict[str, str]], split: Split, report: ModelReport, tmp_path: Path
) -> None:
    paths = write_plots(tmp_path, trained[0].score(split.test.matrix), split.test, report)
    assert [path.name for path in paths] == ["reliability.png", "ndcg.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_the_table_has_a_row_for_each_order_and_head(report: ModelReport) -> None:
    console = Console(file=io.StringIO(), width=160)
    console.print(comparison(report))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for name in ("model", *report.baselines, *report.heads):
        assert name in text
