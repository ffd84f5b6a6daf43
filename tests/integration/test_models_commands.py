"""``tideline models`` and what training leaves for it, on a real MLflow server."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from click.testing import Result
from joined_examples import write_joined
from model_shelf import LIMITS, PLAN, SERVED, Models, Shelf
from typer.testing import CliRunner

from stack.cli import app
from training.checks import RecordedCheck
from training.heads import HeadParameters
from training.settings import GateSettings, MlflowSettings
from training.train import TrainingPlan, train
from training.versions import CHALLENGER, opened

# The server imports for long on a busy machine.
pytestmark = pytest.mark.timeout(600)

SMALLER = TrainingPlan(head=HeadParameters(trees=15, leaves=7), light=HeadParameters(trees=3, leaves=4))
# Nothing that differs from the champion passes by chance.
STRICT = GateSettings(ndcg_10_margin=0, mrr_margin=0, ap_margin=0, rce_margin=0)

Make = Callable[..., pd.DataFrame]
_names = (f"commanded-{number}" for number in itertools.count())


@pytest.fixture
def settings(mlflow_server: str) -> MlflowSettings:
    """Of a registered model of the test's own."""
    return MlflowSettings(tracking_uri=mlflow_server, timeout_seconds=30, model_name=next(_names))


@pytest.fixture(scope="module")
def models(examples_frame: Make) -> Models:
    return Models.of(examples_frame())


@pytest.fixture
def shelf(settings: MlflowSettings, models: Models, tmp_path: Path) -> Shelf:
    return Shelf(settings, tmp_path, models.until)


def test_training_makes_what_is_not_promoted_the_challenger(
    settings: MlflowSettings, examples_frame: Make
) -> None:
    first = train(settings, examples_frame(), PLAN)
    assert (first.challenger, first.refusal) == (False, None)
    kept_back = train(settings, examples_frame(seed=1), PLAN, promote=False)
    assert kept_back.challenger
    worse = train(settings, examples_frame(), SMALLER, limits=STRICT)
    assert worse.challenger
    assert worse.refusal is not None
    assert worse.summary()["model"] is None
    assert worse.summary()["challenger"] == worse.version
    unsound = RecordedCheck("tables", False, "training_examples did not meet the expectations")
    refused = train(settings, examples_frame(), PLAN, checks=[unsound, SERVED])
    assert list(refused.reasons) == [f"its tables check failed: {unsound.detail}"]
    with opened(settings) as versions:
        assert versions.aliases() == {"champion": "1", CHALLENGER: "4"}


@pytest.fixture
def commands(
    shelf: Shelf, examples_frame: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Runs ``tideline models`` where the examples are joined already."""
    offline = tmp_path / "offline"
    write_joined(offline, examples_frame())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    monkeypatch.setenv("TIDELINE_FEATURES__OFFLINE", str(offline))
    monkeypatch.setenv("TIDELINE_MLFLOW__TRACKING_URI", shelf.settings.tracking_uri)
    monkeypatch.setenv("TIDELINE_MLFLOW__MODEL_NAME", shelf.settings.model_name)
    # Timing is the machine's; the figure has a test of its own.
    monkeypatch.setenv("TIDELINE_GATE__SCORING_RATIO", "1000")
    monkeypatch.setenv("TIDELINE_GATE__MRR_MARGIN", str(LIMITS.mrr_margin))
    monkeypatch.setenv("TIDELINE_GATE__AP_MARGIN", str(LIMITS.ap_margin))
    monkeypatch.setenv("TIDELINE_GATE__RCE_MARGIN", str(LIMITS.rce_margin))
    return lambda *words: CliRunner().invoke(app, ["models", *words])


def test_the_commands_compare_promote_refuse_and_roll_back(
    commands: Callable[..., Result],
    shelf: Shelf,
    models: Models,
) -> None:
    before, version = shelf.add_champion(models.stumps), shelf.add(models.good)
    name = shelf.settings.model_name
    promoted = commands("promote", version)
    assert promoted.exit_code == 0, promoted.output
    assert promoted.stdout == f"{name}@{version} is champion; {before} is last-good.\n"
    unmade = commands("rollback")
    assert unmade.stdout == f"{name}@{before} is champion again; {version} is withdrawn.\n"
    assert commands("promote", version, "--json").exit_code == 0
    refused = commands("promote", before)
    assert refused.exit_code == 1
    title, *reasons = refused.stderr[refused.stderr.index(f"{name}@{before} may not") :].splitlines()
    assert title == f"{name}@{before} may not become champion:"
    assert reasons
    assert all(line.startswith("  ") for line in reasons)
    assert "is worse than the champion's" in refused.stderr
    listed = commands("list")
    assert "champion" in listed.stdout
    assert "refused" in listed.stdout
    compared = commands("compare", "champion", before, "--json")
    found = msgspec.json.decode(compared.stdout)
    assert found["versions"] == [version, before]
    assert found["comparison"]["metrics"]["ndcg_10"]["difference"]["low"] > 0
    assert {"rank_correlation", "top_10_overlap", "worse"} <= set(found["comparison"])
    assert all(cost["ratio"] > 0 for cost in found["scoring"])
    shown = commands("compare", before, "champion")
    assert f"Where {before} is worse" in shown.stdout
    assert {"score", "retweeted"} <= set(found["spreads"])
    assert [len(spread["first"]) for spread in found["spreads"].values()] == [7] * len(found["spreads"])
    first, *_ = found["disputed"]
    assert len(found["disputed"]) == 3
    assert f"Disputed: list {first['request']} of reader {first['reader']}" in shown.stdout
    assert first["moved"][0]["reasons"][0]["feature"] in shown.stdout
    assert (
        len(
            msgspec.json.decode(commands("compare", "1", "2", "--disputed", "0", "--json").stdout)["disputed"]
        )
        == 0
    )


def test_what_is_not_there_is_one_sentence(
    commands: Callable[..., Result], shelf: Shelf, models: Models
) -> None:
    assert "has no model" in str(commands("promote").exception)
    version = shelf.add_champion(models.good)
    assert "no version or alias 'challenger'; there are champion, 1" in str(commands("promote").exception)
    assert "is champion already" in str(commands("promote", version).exception)
    assert "are the same version" in str(commands("compare", version, "champion").exception)
