"""The gate against a real MLflow server: planted faults are refused, aliases move, serving follows."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from model_shelf import CHECKED, LIMITS, SERVED, Models, Shelf, ask, quick

from serving.model_store import MlflowRegistry, ModelStore
from training.bundle import Bundle, Matrix
from training.checks import RecordedCheck
from training.manifest import ScoringCost
from training.promotion import Decision, NothingToRestoreError, carry_out, judge, rollback
from training.registry import RegistryError
from training.settings import MlflowSettings
from training.versions import CHALLENGER, LAST_GOOD, opened

# The server imports for long on a busy machine.
pytestmark = pytest.mark.timeout(600)

_names = (f"gated-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def models(examples_frame: Callable[..., pd.DataFrame]) -> Models:
    return Models.of(examples_frame())


@pytest.fixture
def shelf(mlflow_server: str, models: Models, tmp_path: Path) -> Shelf:
    """Of a registered model of the test's own."""
    settings = MlflowSettings(tracking_uri=mlflow_server, timeout_seconds=30, model_name=next(_names))
    return Shelf(settings, tmp_path, models.until)


def test_a_better_model_is_promoted_serving_follows_and_a_rollback_brings_the_former_back(
    shelf: Shelf, models: Models, tmp_path: Path
) -> None:
    before = shelf.add_champion(models.stumps)
    served = ModelStore(MlflowRegistry(shelf.settings), tmp_path / "served", poll_seconds=1.0)

    def in_use() -> str:
        served.refresh()
        assert served.current is not None
        return served.current.version

    name = shelf.settings.model_name
    assert in_use() == f"{name}@{before}"
    version = shelf.add(models.good)
    decision = ask(shelf, version, models.examples)
    assert decision.promoted, decision.reasons
    assert shelf.aliases() == {"champion": version, LAST_GOOD: before}
    assert in_use() == f"{name}@{version}"
    with opened(shelf.settings) as versions:
        done = rollback(versions)
        assert done is not None
        assert (done.withdrawn, done.restored) == (version, before)
        assert rollback(versions) is None
        assert versions.client.get_model_version(name, version).tags["gate"] == "rolled back"
    assert in_use() == f"{name}@{before}"


def test_the_decision_is_kept_with_its_figures(shelf: Shelf, models: Models, tmp_path: Path) -> None:
    shelf.add_champion(models.good)
    version = shelf.add(models.stumps)
    decision = ask(shelf, version, models.examples)
    with opened(shelf.settings) as versions:
        held = versions.client.get_model_version(versions.name, version)
        run = versions.client.get_run(held.run_id)
        (entry,) = versions.client.list_artifacts(held.run_id, "gate")
        path = versions.client.download_artifacts(held.run_id, entry.path, str(tmp_path))
    assert held.tags["gate"] == "refused"
    assert json.loads(held.tags["gate.reasons"]) == list(decision.reasons)
    assert run.data.tags["gate"] == decision.refusal
    kept = json.loads(Path(path).read_text(), parse_constant=pytest.fail)
    assert kept == decision.plain()
    lead = kept["figures"]["comparison"]["metrics"]["ndcg_10"]["difference"]
    assert lead["low"] < lead["value"] < lead["high"] < 0
    assert kept["figures"]["comparison"]["worse"]
    assert shelf.aliases()[CHALLENGER] == version


def reorder(path: Path) -> None:
    manifest = json.loads((path / "bundle.json").read_text())
    manifest["features"].reverse()
    (path / "bundle.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("worse", "nDCG@10 is worse than the champion's"),
        ("miscalibrated", "calibration error of liked is 0."),
        ("slow", "scoring a page costs 2.50 times one plain head, above 2"),
        ("parity", "its parity check failed: 3 of 31 features differ"),
        ("data", "its tables check failed: author_popularity did not meet the expectations"),
        ("unchecked", "no check of its data is recorded with it"),
        ("features", "has the features of this build's model input in another order"),
    ],
)
def test_a_planted_fault_is_refused_with_its_reason_and_the_champion_stays(
    fault: str, reason: str, shelf: Shelf, models: Models
) -> None:
    champion = shelf.add_champion(models.good)
    trained = {"worse": models.stumps, "miscalibrated": models.miscalibrated()}.get(fault, models.good)
    checks = {
        "data": [SERVED, RecordedCheck("tables", False, "author_popularity did not meet the expectations")],
        "unchecked": [],
    }.get(fault, CHECKED)
    version = shelf.add(trained, checks, reorder if fault == "features" else lambda path: None)
    if fault == "parity":
        with opened(shelf.settings) as versions:
            versions.record_check(version, RecordedCheck("parity", False, "3 of 31 features differ"))

    def measure(bundle: Bundle, rows: Matrix) -> ScoringCost:
        return ScoringCost(page_ms=12.5 if fault == "slow" else 5.0, plain_ms=5.0)

    decision = ask(shelf, version, models.examples, measure)
    assert not decision.promoted
    assert [clause for clause in decision.reasons if reason in clause], decision.reasons
    if fault not in ("worse", "miscalibrated"):
        assert len(decision.reasons) == 1
    assert shelf.aliases() == {"champion": champion, CHALLENGER: version}


def test_the_same_model_again_is_not_worse(shelf: Shelf, models: Models) -> None:
    shelf.add_champion(models.good)
    assert ask(shelf, shelf.add(models.good), models.examples).promoted


def test_a_champion_that_this_build_cannot_load_gives_way_to_one_above_the_floors(
    shelf: Shelf, models: Models
) -> None:
    old = shelf.add(models.good, spoil=reorder)
    with opened(shelf.settings) as versions:
        versions.point("champion", old)
    decision = ask(shelf, shelf.add(models.good), models.examples)
    assert decision.promoted
    assert decision.uncompared is not None
    assert "another order" in decision.uncompared


def test_too_few_later_examples_are_a_reason(shelf: Shelf, models: Models) -> None:
    shelf.until = models.examples.frame["event_timestamp"].max().isoformat()
    decision = ask(shelf, shelf.add(models.good), models.examples)
    assert len(decision.reasons) == 1
    assert decision.reasons[0].startswith("There is too little to judge on: 0 lists of 0 readers begun after")


def answering(calls: int) -> Callable[..., requests.Response]:
    """``requests.Session.send`` with a server that is gone after so many calls."""
    send, left = requests.Session.send, itertools.count(calls, -1)

    def sent(session: requests.Session, request: requests.PreparedRequest, **named: Any) -> requests.Response:
        if next(left) <= 0:
            raise requests.ConnectionError("The server has gone away.")
        return send(session, request, **named)

    return sent


def test_a_registry_away_in_the_middle_leaves_what_can_be_rolled_back_and_a_second_try_ends_it(
    shelf: Shelf, models: Models
) -> None:
    before, version = shelf.add_champion(models.stumps), shelf.add(models.good)
    with opened(shelf.settings) as versions:
        decision = judge(versions, version, models.examples, LIMITS, measure=quick)
    assert decision.promoted
    seen, said = set(), []
    for answered in itertools.count():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(requests.Session, "send", answering(answered))
            try:
                with opened(shelf.settings) as versions:
                    carry_out(versions, decision)
                break
            except RegistryError as error:
                said.append(str(error))
        aliases = shelf.aliases()
        seen.add(aliases["champion"])
        if aliases["champion"] == version:
            assert aliases[LAST_GOOD] == before
        with opened(shelf.settings) as versions:
            carry_out(versions, decision)
            assert versions.aliases() == {"champion": version, LAST_GOOD: before}
            versions.point("champion", before)
            versions.drop(LAST_GOOD)
    assert seen == {before, version}
    assert not [sentence for sentence in said if "\n" in sentence]
    assert shelf.aliases() == {"champion": version, LAST_GOOD: before}


def test_a_decision_that_another_promotion_overtook_is_not_carried_out(shelf: Shelf, models: Models) -> None:
    shelf.add_champion(models.good)
    overtaking = shelf.add_champion(models.good)
    decision = Decision(version="3", champion="1", reasons=[], at="2026-01-01T00:00:00+00:00")
    with (
        opened(shelf.settings) as versions,
        pytest.raises(RegistryError, match=f"Version {overtaking} became champion meanwhile"),
    ):
        carry_out(versions, decision)


def test_without_a_promotion_there_is_nothing_to_roll_back_to(shelf: Shelf, models: Models) -> None:
    shelf.add_champion(models.good)
    with (
        opened(shelf.settings) as versions,
        pytest.raises(NothingToRestoreError, match="has no last-good, so there is nothing to roll back to"),
    ):
        rollback(versions)
