"""The evaluation of lists: right figures, models that learn what is there, refusals in a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from list_folders import write_cascade, write_news, write_tweets
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from features.list_features import MIXED_ODDS
from features.list_table import compute
from features.ranking_log import TRUTH
from ingestion.datasets.dataset import DatasetError
from ingestion.world.generate import generate, write
from ingestion.world.plan import WorldPlan
from training.dataset import NoExamplesError
from training.datasets.registry import read_log
from training.latency import HEAD_ROWS
from training.linear import fit_linear
from training.list_baselines import ByFeature, Logistic, baselines
from training.list_evaluation import evaluate
from training.list_model import ListParameters, ListPlan, fit
from training.metrics import list_auc, places

SMALL = ListParameters(trees=30, leaves=7, learning_rate=0.1, smallest_leaf=20, members=1)
PLAN = ListPlan(head=SMALL, order=SMALL, light=SMALL)


@pytest.fixture(scope="module")
def news(tmp_path_factory):
    folder = tmp_path_factory.mktemp("news")
    return write_news(folder / "train"), write_news(folder / "test", first_list=1000)


@pytest.fixture(scope="module")
def evaluated(news):
    return evaluate("news_impressions", *news, plan=PLAN)


def test_the_model_learns_what_is_clicked(evaluated):
    assert evaluated.champion.auc.low > 0.7
    assert evaluated.champion.auc.low > evaluated.baselines["chronological"].auc.high
    assert evaluated.champion.auc.value > evaluated.baselines["recency"].auc.value
    assert evaluated.rows == 1200


def test_every_figure_has_its_interval(evaluated):
    flat = evaluated.summary()["champion"]
    for name in ("mrr", "ndcg_at_10", "auc", "ap", "rce"):
        assert flat[f"{name}_low"] <= flat[name] <= flat[f"{name}_high"]
    assert set(evaluated.baselines) == {"chronological", "popularity", "recency", "logistic_regression"}
    assert evaluated.baselines["recency"].flat()["rce"] is None


def test_the_same_folders_give_the_same_figures(news, evaluated):
    first, again = evaluated.summary(), evaluate("news_impressions", *news, plan=PLAN).summary()
    assert first | {"scoring": None} == again | {"scoring": None}
    assert len(first["data_fingerprint"]) == 64


def test_other_content_has_another_fingerprint(news):
    log = read_log("news_impressions", *news)
    other = replace(log, candidates=replace(log.candidates, label=1.0 - log.candidates.label))
    assert read_log("news_impressions", *news).fingerprint == log.fingerprint != other.fingerprint


def test_what_a_page_costs_is_said(evaluated):
    scoring = evaluated.summary()["scoring"]
    assert scoring["ratio"] == pytest.approx(scoring["page_ms"] / scoring["plain_ms"])
    assert evaluated.summary()["size"] == {"trees": 30, "leaves": 7, "light_trees": 30}


def test_the_rows_of_a_crowded_request_that_are_pruned_come_behind_the_others(news):
    table = compute(read_log("news_impressions", *news))
    model = fit(table.where(~table.rows.later), PLAN, lambda step: None)
    crowd = np.zeros(len(table.rows), dtype=np.int64)
    page = replace(table, rows=replace(table.rows, request=crowd))
    kept = places(crowd, model.light.predict(table.matrix)) < HEAD_ROWS
    crowded, alone = model.scores(page), model.scores(table)
    assert crowded.order[~kept].max() <= crowded.order[kept].min()
    assert crowded.probability[~kept].max() <= crowded.probability[kept].min()
    np.testing.assert_allclose(crowded.order[kept], alone.order[kept], rtol=1e-6)


def test_mixed_odds_have_a_share_of_the_log_odds_where_they_are_known(news):
    table = compute(read_log("news_impressions", *news))
    mixed = np.random.default_rng(5).normal(size=len(table.rows)).astype(np.float32)
    mixed[::3] = np.nan
    table = replace(
        table,
        names=(*table.names, MIXED_ODDS),
        matrix=np.column_stack([table.matrix, mixed]).astype(np.float32),
    )
    learned = table.where(~table.rows.later)
    alone, blended = (
        fit(learned, replace(PLAN, mixed_share=share), lambda step: None).scores(table).order
        for share in (0, 0.4)
    )
    np.testing.assert_allclose(
        blended, np.where(np.isnan(mixed), alone, 0.6 * alone + 0.4 * mixed.astype(float))
    )


def test_whom_others_act_on_is_learned_from_the_acts(tmp_path):
    result = evaluate(
        "retweet_cascade",
        write_cascade(tmp_path / "a"),
        write_cascade(tmp_path / "b", first_list=1000),
        plan=PLAN,
    )
    assert result.champion.mrr.low > result.baselines["chronological"].mrr.high


def test_originals_are_judged_with_all_rows_beside(tmp_path):
    test = write_tweets(tmp_path / "b", first_post=3000)
    result = evaluate("tweet_engagement", write_tweets(tmp_path / "a"), test, plan=PLAN)
    originals = int((pd.read_parquet(test / "tweets.parquet")["is_retweet"] == 0).sum())
    assert result.rows == originals
    assert result.champion.auc.low > 0.6
    assert set(result.champion.all_rows) == {"auc", "ap", "rce"}
    assert result.champion.flat()["all_rows_auc"] != result.champion.flat()["auc"]
    assert "rating" in result.baselines


def world(folder: Path, seed: int) -> Path:
    write(generate(WorldPlan(seed=seed, users=150, days=3, sessions_per_day=1.0)), folder)
    return folder


def test_a_synthetic_world_is_judged_beside_its_planted_truth(tmp_path):
    result = evaluate("synthetic", world(tmp_path / "a", 1), world(tmp_path / "b", 2), plan=PLAN)
    truth, newest = (result.baselines[name].ndcg_at_10.value for name in ("planted_truth", "chronological"))
    assert truth == max(order.ndcg_at_10.value for order in result.baselines.values())
    assert result.share_of_gain == pytest.approx(
        (result.champion.ndcg_at_10.value - newest) / (truth - newest)
    )
    assert 0 < result.share_of_gain < 1
    assert result.summary()["share_of_gain"] == result.share_of_gain


@pytest.mark.parametrize("chance", [float("nan"), float("inf"), -0.1])
def test_a_planted_chance_that_is_none_is_refused(tmp_path, chance):
    first, second = world(tmp_path / "a", 1), world(tmp_path / "b", 2)
    path = second / "truth_impressions.parquet"
    frame = pd.read_parquet(path)
    frame.loc[3, "p_engaged"] = chance
    frame.to_parquet(path, index=False)
    with pytest.raises(DatasetError, match="The column p_engaged"):
        read_log("synthetic", first, second)


def test_the_planted_truth_is_no_feature(tmp_path):
    log = read_log("synthetic", world(tmp_path / "a", 1), world(tmp_path / "b", 2))
    truth = log.candidates.attributes[TRUTH]
    told = replace(log.candidates, attributes={**log.candidates.attributes, TRUTH: 1 - truth})
    table, other = compute(log), compute(replace(log, candidates=told))
    np.testing.assert_array_equal(table.matrix, other.matrix)


def test_list_auc_is_the_mean_over_lists_of_the_usual_one():
    rng = np.random.default_rng(1)
    lists = np.repeat(np.arange(30), 6)
    labels = (rng.random(180) < 0.4).astype(float)
    scores = rng.integers(0, 4, 180).astype(float)
    order = rng.permutation(180)
    found = list_auc(lists[order], labels[order], scores[order])
    for number in range(30):
        mine = lists == number
        if 0 < labels[mine].sum() < 6:
            assert found[number] == pytest.approx(roc_auc_score(labels[mine], scores[mine]))
        else:
            assert np.isnan(found[number])


def test_what_lacks_a_baselines_feature_comes_last(news):
    table = compute(read_log("news_impressions", *news))
    scores = ByFeature("recency", "item_since_hit", -1.0).score(table)
    missing = np.isnan(table.column("item_since_hit"))
    assert 0 < missing.sum() < len(missing)
    assert scores[missing].max() < scores[~missing].min()
    assert [order.name for order in baselines(table)] == ["chronological", "popularity", "recency"]


def test_a_missing_or_constant_feature_does_not_hurt_the_logistic_regression(news):
    table = compute(read_log("news_impressions", *news))
    matrix = table.matrix.copy()
    matrix[:, 0], matrix[:, 1] = np.nan, 7.0
    spoiled = type(table)(table.names, matrix, table.rows)
    assert np.isfinite(Logistic(fit_linear(matrix, table.rows.label)).score(spoiled)).all()


@pytest.mark.parametrize("clicks", [0, 1])
def test_labels_of_one_kind_are_refused_in_one_sentence(tmp_path, clicks):
    train, test = write_news(tmp_path / "a"), write_news(tmp_path / "b", first_list=1000)
    path = train / "candidates.parquet"
    pd.read_parquet(path).assign(clicked=clicks).to_parquet(path, index=False)
    with pytest.raises(NoExamplesError, match="There is too little data: the train folder has"):
        evaluate("news_impressions", train, test, plan=PLAN)


def test_too_few_positives_to_calibrate_with_are_refused(news):
    table = compute(read_log("news_impressions", *news))
    table.rows.label[table.rows.list % 7 == 0] = 0.0
    with pytest.raises(NoExamplesError, match="every seventh list of the train folder has 0 rows"):
        fit(table, PLAN, lambda step: None)


@pytest.mark.parametrize("named", [False, True])
def test_the_last_line_of_the_command_is_one_json_object_with_or_without_mlflow(tmp_path, monkeypatch, named):
    import training.list_evaluation
    from stack.cli import app

    monkeypatch.setattr(training.list_evaluation, "ListPlan", lambda: PLAN)
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    if named:  # a store that does not answer
        monkeypatch.setenv("TIDELINE_MLFLOW__TRACKING_URI", "http://127.0.0.1:1")
        monkeypatch.setenv("TIDELINE_MLFLOW__RETRIES", "0")
    train, test = write_news(tmp_path / "a"), write_news(tmp_path / "b", first_list=1000)
    arguments = ["evaluate", "--dataset", "news_impressions", "--train", str(train), "--test", str(test)]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout.splitlines()[-1])
    assert {"champion", "baselines", "dataset", "rows", "lists"} <= set(found)
    assert "popularity" in result.stdout
    warnings = [line for line in result.stderr.splitlines() if line.startswith("Warning")]
    assert len(warnings) == int(named)
    assert all("http://127.0.0.1:1 failed: it does not answer" in line for line in warnings)
