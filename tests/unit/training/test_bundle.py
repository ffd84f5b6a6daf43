"""The bundle: what it gives back, and everything that does not fit this build refused."""

from __future__ import annotations

import json
import math
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.labels import HEADS
from features.names import FEATURE_SERVICE, MODEL_INPUT
from training.bundle import Bundle, sha256
from training.calibration import Isotonic, Platt
from training.formula import FLOOR
from training.manifest import BundleError, read_manifest

FIXTURE = Path(__file__).parents[2] / "fixtures" / "bundle_v3"
TREES_ALONE = FIXTURE.with_name("bundle_v2")
OLD = FIXTURE.with_name("bundle_v1")
FEATURES = tuple(json.loads((FIXTURE / "bundle.json").read_text())["features"])

Change = Callable[[dict[str, Any]], Any]


def load(path: Path = FIXTURE) -> Bundle:
    """Against the fixture's own feature list, which stays while the vocabulary grows."""
    return Bundle.load(path, features=FEATURES, feature_service="ranking_v2")


def changed(tmp_path: Path, change: Change) -> Path:
    """A copy of the fixture whose manifest was changed."""
    path = tmp_path / "bundle"
    shutil.copytree(FIXTURE, path)
    manifest = json.loads((path / "bundle.json").read_text())
    change(manifest)
    (path / "bundle.json").write_text(json.dumps(manifest))
    return path


def rows(count: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).gamma(2.0, 1.0, (count, len(FEATURES))).astype(np.float32)


def test_a_bundle_of_version_1_is_refused_and_says_what_to_do() -> None:
    with pytest.raises(BundleError, match="is of version 1; this build reads 2 and 3: train again with"):
        Bundle.load(OLD)


@pytest.mark.parametrize("path", [FIXTURE, TREES_ALONE])
def test_a_bundle_of_version_2_or_3_keeps_loading_with_the_scores_it_was_made_with(path: Path) -> None:
    bundle = load(path)
    smoke = bundle.manifest.smoke
    matrix = np.array(smoke.rows, dtype=np.float32)
    assert bundle.score(matrix).score == pytest.approx(smoke.scores)


def test_the_bundle_lists_its_heads_and_how_each_was_calibrated() -> None:
    heads = load().manifest.heads
    assert tuple(heads) == HEADS
    assert {type(spec.calibrator) for spec in heads.values()} == {Isotonic, Platt}
    for spec in heads.values():
        losses = {kind: spec.calibration_losses[kind] for kind in ("isotonic", "platt")}
        assert min(losses, key=losses.__getitem__) == type(spec.calibrator).__name__.lower()


def test_a_bundle_for_another_model_input_is_refused_by_its_feature_service() -> None:
    with pytest.raises(BundleError, match="is for feature service ranking_v2, not ranking_v9"):
        Bundle.load(FIXTURE, feature_service="ranking_v9")


def test_this_builds_feature_list_is_the_one_expected_unless_told() -> None:
    assert Bundle.load.__defaults__ == (MODEL_INPUT, FEATURE_SERVICE)


def test_the_score_is_the_weighted_sum_of_the_calibrated_probabilities() -> None:
    bundle = load()
    scores = bundle.score(rows(50))
    expected = sum(bundle.weights[head] * scores.probabilities[head] for head in bundle.weights)
    above = expected >= 0
    assert 0 < above.sum() < 50
    assert scores.score[above] == pytest.approx(expected[above] + FLOOR)
    assert ((scores.score[~above] > 0) & (scores.score[~above] < FLOOR)).all()
    for head in bundle.weights:
        assert ((scores.probabilities[head] > 0) & (scores.probabilities[head] < 1)).all()


def test_a_row_scores_the_same_alone_and_in_company() -> None:
    bundle, matrix = load(), rows(30)
    together = bundle.score(matrix).score
    assert [float(bundle.score(matrix[i : i + 1]).score[0]) for i in range(30)] == together.tolist()


def test_a_row_of_nothing_but_missing_values_gets_a_score() -> None:
    matrix = np.full((1, len(FEATURES)), np.nan, dtype=np.float32)
    assert math.isfinite(load().score(matrix).score[0])


def test_no_candidates_get_no_scores() -> None:
    bundle, none = load(), rows(0)
    assert bundle.score(none).score.shape == (0,)
    assert bundle.light_score(none).shape == (0,)
    assert bundle.contributions(none)["liked"].shape == (0, len(FEATURES) + 1)


def test_a_matrix_of_another_width_is_a_programmers_error() -> None:
    with pytest.raises(ValueError, match=f"takes {len(FEATURES)} features"):
        load().score(rows(3)[:, 1:])


def test_contributions_add_up_to_the_raw_log_odds() -> None:
    bundle, matrix = load(TREES_ALONE), rows(20)
    for head, parts in bundle.contributions(matrix).items():
        raw = bundle.boosters[head].predict(matrix, raw_score=True)
        assert parts.sum(axis=1) == pytest.approx(raw)


def blended(bundle: Bundle, head: str, matrix: Any) -> Any:
    """The log-odds of rows without missing values, written out from what the files say."""
    linear, scaling = bundle.manifest.heads[head].linear, bundle.manifest.scaling
    assert linear is not None
    assert scaling is not None
    scaled = (np.log1p(matrix) - scaling.mean) * scaling.per_deviation
    odds = scaled @ linear.slopes.weights + linear.slopes.intercept
    return (1 - linear.share) * bundle.boosters[head].predict(matrix, raw_score=True) + linear.share * odds


def test_with_a_linear_part_contributions_add_up_to_the_blended_log_odds() -> None:
    bundle, matrix = load(), rows(20)
    for head, parts in bundle.contributions(matrix).items():
        assert parts.sum(axis=1) == pytest.approx(blended(bundle, head, matrix), abs=1e-5)


def test_a_head_is_calibrated_of_its_blended_log_odds() -> None:
    bundle, matrix = load(), rows(20)
    probabilities = bundle.score(matrix).probabilities
    for head, spec in bundle.manifest.heads.items():
        odds = blended(bundle, head, matrix)
        raw = odds if isinstance(spec.calibrator, Platt) else 1 / (1 + np.exp(-odds))
        assert probabilities[head] == pytest.approx(spec.calibrator.apply(raw), abs=1e-5)


def test_a_lost_view_adds_nothing_in_the_linear_part() -> None:
    bundle, matrix = load(), rows(20)
    author = [index for index, name in enumerate(FEATURES) if name.startswith("author_")]
    matrix[:, author] = np.nan
    assert bundle.manifest.scaling is not None
    for spec in bundle.manifest.heads.values():
        assert spec.linear is not None
        effects = spec.linear.slopes.effects(bundle.manifest.scaling.apply(matrix))
        assert not effects[:, author].any()
        assert effects.any()


def test_contributions_may_be_asked_from_several_threads() -> None:
    bundle, matrix = load(), rows(200)
    expected = bundle.contributions(matrix)["liked"]
    found: list[bool] = []

    def ask() -> None:
        found.append(bool(np.array_equal(bundle.contributions(matrix)["liked"], expected)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


def test_the_light_ranker_scores_each_row() -> None:
    assert np.isfinite(load().light_score(rows(10))).all()


def test_a_bundle_without_a_light_ranker_says_so(tmp_path: Path) -> None:
    bundle = load(changed(tmp_path, lambda manifest: manifest.update(light=None)))
    with pytest.raises(ValueError, match="no light ranker"):
        bundle.light_score(rows(1))


def test_a_default_fills_what_is_missing_and_leaves_the_callers_matrix_alone(tmp_path: Path) -> None:
    column = FEATURES.index("pair_engagement_rate")

    def with_default(manifest: dict[str, Any]) -> None:
        manifest["defaults"]["pair_engagement_rate"] = 9.0
        smoke = manifest["smoke"]
        known = [place for place, row in enumerate(smoke["rows"]) if row[column] is not None]
        manifest["smoke"] = {name: [values[place] for place in known] for name, values in smoke.items()}

    bundle = load(changed(tmp_path, with_default))
    missing, given = rows(5), rows(5)
    missing[:, column], given[:, column] = np.nan, 9.0
    assert bundle.score(missing).score.tolist() == bundle.score(given).score.tolist()
    assert np.isnan(missing[:, column]).all()


def swap(manifest: dict[str, Any]) -> None:
    names = manifest["features"]
    names[0], names[1] = names[1], names[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m.update(bundle_version=4), "is of version 4; this build reads 2 and 3"),
        (lambda m: m.update(formula_version="product-9"), "score formula product-9"),
        (lambda m: m.update(feature_service="ranking_v9"), "feature service ranking_v9, not ranking_v2"),
        (lambda m: m["features"].append("user_mood"), "does not have: user_mood"),
        (
            lambda m: m["features"].remove("user_tweets"),
            "lacks features of this build's model input: user_tweets",
        ),
        (swap, "in another order"),
        (lambda m: m.pop("heads"), "is not a bundle's manifest"),
        (lambda m: m.update(heads={}), "has no heads"),
        (lambda m: m["heads"]["liked"].update(file="../x.txt"), "outside its folder"),
        (lambda m: m["heads"]["liked"].update(file="gone.txt"), "lacks its file gone.txt"),
        (lambda m: m["heads"]["liked"].update(sha256="0"), "is not the file that the bundle was made with"),
        (lambda m: m["heads"]["hidden"]["calibrator"].update(y=[0.5]), "is not a bundle's manifest"),
        (lambda m: m["heads"]["opened"]["calibrator"].update(slope=-1), "is not a bundle's manifest"),
        (lambda m: m["heads"]["liked"]["calibrator"].update(kind="beta"), "is not a bundle's manifest"),
        (lambda m: m["heads"]["liked"]["linear"].update(share=1.5), "is not a bundle's manifest"),
        (lambda m: m["heads"]["liked"]["linear"]["slopes"].update(intercept=None), "not a bundle's manifest"),
        (lambda m: m["heads"]["liked"]["linear"]["slopes"]["weights"].pop(), "30 linear weights for liked"),
        (lambda m: m.update(scaling=None), "linear parts without the scaling"),
        (lambda m: m["scaling"]["mean"].pop(), "is not a bundle's manifest"),
        (lambda m: [part.pop() for part in m["scaling"].values()], "a scaling of 30 features, not of 31"),
        (lambda m: m["smoke"]["scores"].__setitem__(0, 0.123), "unlike where it was made"),
        (lambda m: m["smoke"]["scores"].pop(), "no smoke rows of 31 features, each with a score"),
        (lambda m: m["smoke"]["rows"][0].pop(), "no smoke rows of 31 features"),
        (lambda m: m.update(smoke={"rows": [], "scores": []}), "no smoke rows"),
        (lambda m: m.update(bundle_version=2), "bundles of version 2 do not have"),
    ],
)
def test_what_does_not_fit_is_refused_with_one_sentence(
    tmp_path: Path, change: Change, sentence: str
) -> None:
    with pytest.raises(BundleError) as refused:
        load(changed(tmp_path, change))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_scores_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    def poisoned(manifest: dict[str, Any]) -> None:
        manifest["heads"]["liked"]["sha256"] = sha256(text.encode())

    lines = (FIXTURE / "head_liked.txt").read_text().splitlines()
    text = "\n".join(
        "leaf_value=" + " ".join(["nan"] * len(line.split())) if line.startswith("leaf_value=") else line
        for line in lines
        # LightGBM skips by these sizes, which are no longer right, and crashes on a wrong one.
        if not line.startswith("tree_sizes=")
    )
    path = changed(tmp_path, poisoned)
    (path / "head_liked.txt").write_bytes(text.encode())
    with pytest.raises(BundleError, match="not numbers"):
        load(path)


def test_a_head_of_another_feature_list_than_its_manifest_is_refused(tmp_path: Path) -> None:
    def renamed(manifest: dict[str, Any]) -> None:
        manifest["heads"]["liked"]["sha256"] = sha256(text.encode())

    text = (
        (FIXTURE / "head_liked.txt")
        .read_text()
        .replace("user_impressions user_eng", "user_depressions user_eng")
    )
    path = changed(tmp_path, renamed)
    (path / "head_liked.txt").write_bytes(text.encode())
    with pytest.raises(BundleError, match="another feature list"):
        load(path)


def test_what_is_no_model_text_is_refused(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda m: m["heads"]["liked"].update(sha256=sha256(b"no trees here")))
    (path / "head_liked.txt").write_bytes(b"no trees here")
    with pytest.raises(BundleError, match="is not a LightGBM model"):
        load(path)


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="There is no model bundle in"):
        read_manifest(tmp_path)
