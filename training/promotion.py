"""Promotion and rollback: which version is champion, decided by the gate and recorded with the version."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from training.bundle import Bundle, Matrix
from training.comparison import compare
from training.dataset import Examples, NoExamplesError
from training.evaluation import evaluate
from training.gate import Evidence, failures, sentence
from training.held_out import held_out
from training.latency import scoring_cost
from training.manifest import BundleError, ScoringCost
from training.registry import RegistryError
from training.settings import GateSettings
from training.versions import CHALLENGER, LAST_GOOD, LONGEST_TAG, ModelVersions

SEED = 20260101
Measure = Callable[[Bundle, Matrix], ScoringCost]


@dataclass(frozen=True)
class Decision:
    """What the gate said of a version, and the figures that it said it by.

    ``champion`` is the version that it was compared with, None where there was none; ``uncompared`` says why
    a champion there was could not be compared. ``figures`` are plain values.
    """

    version: str
    champion: str | None
    reasons: Sequence[str]
    at: str
    uncompared: str | None = None
    figures: Mapping[str, object] = field(default_factory=dict)

    @property
    def promoted(self) -> bool:
        return not self.reasons

    @property
    def refusal(self) -> str | None:
        return sentence(self.reasons) if self.reasons else None

    def plain(self) -> dict[str, object]:
        """Of types that JSON has; numbers that are none are null."""
        decoded: dict[str, object] = msgspec.json.decode(msgspec.json.encode(self))
        return {"promoted": self.promoted, **decoded}


def judge(
    versions: ModelVersions,
    version: str,
    examples: Examples,
    limits: GateSettings,
    announce: Callable[[str], None] = lambda step: None,
    measure: Measure = scoring_cost,
) -> Decision:
    """The version beside the champion on held-out examples. Nothing is changed.

    Raises:
        RegistryError: MLflow does not answer, or there is no such version.
    """
    champion = versions.aliases().get(versions.settings.alias)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        announce(f"fetching version {version}")
        try:
            candidate = Bundle.load(versions.fetch(version, folder))
        except BundleError as error:
            return Decision(version, champion, [str(error).rstrip(".")], at)
        reigning, uncompared = None, None
        if champion is not None and champion != version:
            announce(f"fetching the champion, version {champion}")
            try:
                reigning = Bundle.load(versions.fetch(champion, folder))
            except BundleError as error:
                # It cannot serve with this build either, so the floors alone decide.
                uncompared = str(error)
    models = [bundle.manifest for bundle in (candidate, reigning) if bundle is not None]
    try:
        lists = held_out(examples, models, limits)
    except NoExamplesError as error:
        return Decision(version, champion, [str(error).rstrip(".")], at, uncompared)
    announce(f"judging on {len(lists):,} held-out examples")
    scores = candidate.score(lists.matrix)
    evidence = Evidence(
        report=evaluate(scores, lists, SEED),
        comparison=compare(scores, reigning.score(lists.matrix), lists, SEED) if reigning else None,
        cost=measure(candidate, lists.matrix),
        checks=versions.checks(version),
    )
    figures = _figures(evidence, lists)
    return Decision(version, champion, failures(evidence, limits), at, uncompared, figures)


def carry_out(versions: ModelVersions, decision: Decision) -> None:
    """Records the decision and moves the aliases; may be repeated after a registry that went away.

    ``last-good`` moves before ``champion``, so that there never is a champion that could not be rolled back.

    Raises:
        RegistryError: MLflow does not answer, or another version became champion since the decision.
    """
    version, aliases = decision.version, versions.aliases()
    champion = aliases.get(versions.settings.alias)
    if champion not in (decision.champion, version):
        raise RegistryError(f"Version {champion} became champion meanwhile: decide again.")
    versions.log_json(version, decision.plain(), f"gate/{decision.at.replace(':', '')}.json")
    versions.tag(version, {"gate.reasons": _fitting(decision.reasons)})
    if decision.promoted:
        if champion is not None and champion != version:
            versions.point(LAST_GOOD, champion)
        versions.point(versions.settings.alias, version)
        if aliases.get(CHALLENGER) == version:
            versions.drop(CHALLENGER)
    elif champion != version:
        versions.point(CHALLENGER, version)
    versions.tag(version, {"gate": "promoted" if decision.promoted else "refused", "gate.at": decision.at})
    versions.tag_run(version, "gate", decision.refusal or "passed")


@dataclass(frozen=True)
class Rollback:
    """The versions that were champion before and after."""

    withdrawn: str
    restored: str


def rollback(versions: ModelVersions) -> Rollback | None:
    """Puts ``last-good`` back as champion; None where it is champion already.

    Raises:
        RegistryError: MLflow does not answer.
        NothingToRestoreError: there was no promotion to undo.
    """
    aliases = versions.aliases()
    champion, last_good = aliases.get(versions.settings.alias), aliases.get(LAST_GOOD)
    if champion is None or last_good is None:
        missing = LAST_GOOD if last_good is None else versions.settings.alias
        raise NothingToRestoreError(f"{versions.name} has no {missing}, so there is nothing to roll back to.")
    if champion == last_good:
        return None
    # The alias first: serving must not wait for the books.
    versions.point(versions.settings.alias, last_good)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    versions.tag(champion, {"gate": "rolled back", "gate.at": at})
    versions.tag(last_good, {"gate": "restored", "gate.at": at})
    return Rollback(champion, last_good)


class NothingToRestoreError(LookupError):
    """There is no version to roll back to; the message is one sentence."""


def _figures(evidence: Evidence, lists: Examples) -> dict[str, object]:
    times = lists.frame["event_timestamp"]
    return {
        "held_out": {
            "rows": len(lists),
            "from": times.min().isoformat(),
            "to": times.max().isoformat(),
            "fingerprint": lists.fingerprint,
        },
        "metrics": evidence.report.metrics(),
        "comparison": evidence.comparison,
        "scoring": {**msgspec.structs.asdict(evidence.cost), "ratio": evidence.cost.ratio},
        "checks": list(evidence.checks),
    }


def _fitting(reasons: Sequence[str]) -> str:
    """As many of the reasons, as JSON, as a tag may hold; all of them are in the decision's file."""
    kept = list(reasons)
    while len(text := msgspec.json.encode(kept).decode()) > LONGEST_TAG:
        kept.pop()
    return text
