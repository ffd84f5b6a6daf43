"""Which days a build has to compute: those of which the lake says something else than when they were built.

What was built is kept beside the tables: up to when, from how many events, by which definitions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec

from features.day_partitions import day_name, day_start_ms
from features.labels import ATTRIBUTION_MS, LABELS
from features.layout import fingerprint
from features.names import VIEWS
from ingestion.whole_files import write_whole
from pipelines.batch.lake_days import LakeState
from timelines.durations import DAY_MS

LEDGER = ".built.json"
REVISION = 2
"""Counted up when a formula changes: what was built before is then built anew."""


class DayNotBuildableError(ValueError):
    """One sentence says why a day cannot be built by itself."""


class Ledger(msgspec.Struct, frozen=True):
    """What the tables hold: everything before ``until_ms``, from ``lake``, as ``definitions`` say."""

    until_ms: int
    lake: dict[str, int]
    definitions: str


@dataclass(frozen=True)
class Span:
    """What is to be built: [``since_ms``, ``until_ms``), from 0 for all of it; ``left`` are days that changed
    later than the horizon allows.
    """

    since_ms: int
    until_ms: int
    left: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return self.since_ms >= self.until_ms


def definitions(attribution_ms: int = ATTRIBUTION_MS) -> str:
    """What a table depends on beside the lake."""
    return json.dumps(
        [REVISION, attribution_ms, [*LABELS.values()], *((view.name, fingerprint(view)) for view in VIEWS)]
    )


def plan(
    ledger: Ledger | None,
    lake: LakeState,
    until_ms: int,
    late_days: int,
    attribution_ms: int = ATTRIBUTION_MS,
) -> Span:
    """What a build up to ``until_ms`` has to compute; counts run on, so it is all from the first such day on.

    Args:
        late_days: how many days before the last one built are looked at for events that came late.
    """
    if ledger is None or ledger.definitions != definitions(attribution_ms):
        return Span(0, until_ms)
    # The last day may have been built in part; what goes back in time begins with the day it goes back to.
    reached = min(ledger.until_ms, until_ms)
    since = reached if ledger.until_ms == until_ms else reached // DAY_MS * DAY_MS
    oldest = day_name(max(reached - 1, 0) // DAY_MS * DAY_MS - late_days * DAY_MS)
    changed = sorted(
        day
        for day in {*ledger.lake, *lake}
        if day_start_ms(day) < reached and ledger.lake.get(day) != lake.get(day)
    )
    late = [day for day in changed if day >= oldest]
    left = tuple(day for day in changed if day < oldest)
    return Span(min(since, day_start_ms(late[0])) if late else since, until_ms, left)


def day_span(
    ledger: Ledger | None,
    lake: LakeState,
    day_ms: int,
    until_ms: int,
    attribution_ms: int = ATTRIBUTION_MS,
) -> Span:
    """One day, whatever is built of it; what is built of later days is left to the next build.

    Raises:
        DayNotBuildableError: the days before are not built, or the day has not begun.
    """
    name = day_name(day_ms)
    if day_ms >= until_ms:
        raise DayNotBuildableError(f"There is nothing of {name} to build: it has not begun.")
    first = not any(day_start_ms(day) < day_ms for day in lake)
    same = ledger is not None and ledger.definitions == definitions(attribution_ms)
    known = ledger is not None and same and ledger.until_ms >= day_ms
    if not first and not known:
        raise DayNotBuildableError(
            f"The days before {name} are not built: run `tideline features build --until {name}` first."
        )
    return Span(0 if first else day_ms, min(day_ms + DAY_MS, until_ms))


def read_ledger(offline: Path) -> Ledger | None:
    """What the tables in ``offline`` hold; None where that is not known."""
    try:
        return msgspec.json.decode((offline / LEDGER).read_bytes(), type=Ledger)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def remember(offline: Path, until_ms: int, lake: LakeState, attribution_ms: int = ATTRIBUTION_MS) -> None:
    """All tables hold everything before ``until_ms`` now: of the days that ``forget`` left as they were what
    the lake had then, of the others what it has now."""
    kept = read_ledger(offline)
    _write(offline, Ledger(until_ms, {**lake, **(kept.lake if kept else {})}, definitions(attribution_ms)))


def forget(offline: Path, since_ms: int) -> None:
    """The days from ``since_ms`` on are about to be replaced; if that ends halfway, they are built again."""
    ledger = read_ledger(offline)
    if ledger is None:
        return
    if not since_ms:
        (offline / LEDGER).unlink()
    elif since_ms < ledger.until_ms:
        kept = {day: state for day, state in ledger.lake.items() if day_start_ms(day) < since_ms}
        _write(offline, Ledger(since_ms, kept, ledger.definitions))


def _write(offline: Path, ledger: Ledger) -> None:
    write_whole(offline / LEDGER, msgspec.json.encode(ledger))
