"""Which days a build has to compute: those of which the lake says something else than when they were built.

What was built is kept beside the tables: up to when, from which files of the lake, by which definitions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from features.day_partitions import DAY_MS, day_name, day_start_ms, days_in
from features.layout import fingerprint
from features.names import VIEWS
from ingestion.events import (
    ClientReport,
    FollowChanged,
    Impression,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.lake import event_folder

LEDGER = ".built.json"
REVISION = 1
"""Counted up when a formula changes: what was built before is then built anew."""
READ = (FollowChanged, TweetCreated, TweetDeleted, RetweetChanged, LikeChanged, Impression, ClientReport)

LakeState = Mapping[str, str]
"""Of each day what the lake's files of it were, in few letters."""


class DayNotBuildableError(ValueError):
    """One sentence says why a day cannot be built by itself."""


class Ledger(msgspec.Struct, frozen=True):
    """What the tables hold: everything before ``until_ms``, from ``lake``, as ``definitions`` say."""

    until_ms: int
    lake: dict[str, str]
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


def definitions() -> str:
    """What a table depends on beside the lake."""
    return json.dumps([REVISION, *((view.name, fingerprint(view)) for view in VIEWS)])


def lake_state(lake: Path, namespace: str, until_ms: int) -> LakeState:
    """The state of each day that has events before ``until_ms``: names, sizes and times of its files."""
    found: dict[str, list[str]] = {}
    for event_type in READ:
        folder = event_folder(lake, namespace, event_type)
        for day, path in days_in(folder).items():
            if day_start_ms(day) < until_ms:
                for file in sorted(path.glob("[!._]*")):
                    about = file.stat()
                    found.setdefault(day, []).append(
                        f"{folder.name}/{file.name} {about.st_size} {about.st_mtime_ns}"
                    )
    return {day: hashlib.sha256("\n".join(files).encode()).hexdigest()[:16] for day, files in found.items()}


def plan(ledger: Ledger | None, lake: LakeState, until_ms: int, late_days: int) -> Span:
    """What a build up to ``until_ms`` has to compute; counts run on, so it is all from the first such day on.

    Args:
        late_days: how many days before the last one built are looked at for events that came late.
    """
    if ledger is None or ledger.definitions != definitions():
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


def day_span(ledger: Ledger | None, lake: LakeState, day_ms: int, until_ms: int) -> Span:
    """One day, whatever is built of it; what is built of later days is left to the next build.

    Raises:
        DayNotBuildableError: the days before are not built, or the day has not begun.
    """
    name = day_name(day_ms)
    if day_ms >= until_ms:
        raise DayNotBuildableError(f"There is nothing of {name} to build: it has not begun.")
    first = not any(day_start_ms(day) < day_ms for day in lake)
    known = ledger is not None and ledger.definitions == definitions() and ledger.until_ms >= day_ms
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


def remember(offline: Path, until_ms: int, lake: LakeState) -> None:
    """All tables hold everything before ``until_ms`` now."""
    _write(offline, Ledger(until_ms, dict(lake), definitions()))


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
    offline.mkdir(parents=True, exist_ok=True)
    staged = offline / f"{LEDGER}.new"
    staged.write_bytes(msgspec.json.encode(ledger))
    staged.replace(offline / LEDGER)
