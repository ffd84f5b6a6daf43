"""Checks of the data that a model learned from, recorded with the model and asked for before it may serve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from features.names import MODEL_INPUT
from features.parity import ParityReport
from features.settings import ParitySettings
from training.dataset import Examples

PARITY = "parity"


class RecordedCheck(msgspec.Struct, frozen=True):
    """One check: its ``name``, whether it held, and one sentence without its full stop."""

    name: str
    passed: bool
    detail: str


class _Outcome(msgspec.Struct):
    """What Great Expectations writes for a table; the rest of the file is not read."""

    success: bool


def examples_check(examples: Examples) -> RecordedCheck:
    """That no feature is infinite and no item stands twice in a list.

    A constant feature is no fault, as no tree splits on it: it is named.
    """
    faults = []
    infinite = np.isinf(examples.matrix).any(axis=0)
    if infinite.any():
        names = [name for name, found in zip(MODEL_INPUT, infinite, strict=True) if found]
        faults.append(f"infinite values of {', '.join(names)}")
    if twice := int(examples.frame.duplicated(["request_id", "tweet", "position"]).sum()):
        faults.append(f"{twice} rows that stand twice in their list")
    detail = f"the examples have {' and '.join(faults)}" if faults else f"{len(examples):,} examples"
    if constant := [name for name in MODEL_INPUT if examples.frame[name].nunique(dropna=False) == 1]:
        detail += f"; {', '.join(constant)} of one value in all of them"
    return RecordedCheck("examples", not faults, detail)


def tables_check(results: Path, tables: Sequence[str]) -> RecordedCheck:
    """That every table met its expectations when it was last built, by the results kept in ``results``."""
    missing, failed = [], []
    for table in tables:
        try:
            content = (results / f"{table}.json").read_bytes()
            if not msgspec.json.decode(content, type=_Outcome).success:
                failed.append(table)
        except (OSError, msgspec.DecodeError):
            missing.append(table)
    faults = [f"{', '.join(failed)} did not meet the expectations"] if failed else []
    faults += [f"{', '.join(missing)} were not checked"] if missing else []
    detail = "; ".join(faults) if faults else f"{len(tables)} tables met their expectations"
    return RecordedCheck("tables", not faults, detail)


def parity_check(report: ParityReport, limits: ParitySettings) -> RecordedCheck:
    """That the features logged at serving are those of the offline store, within the limits."""
    faults = report.failures(limits)
    detail = "; ".join(faults) if faults else f"{report.rows:,} logged rows agree with the offline features"
    return RecordedCheck(PARITY, not faults, detail)
