"""How many events each day of the lake has: by that a build knows what changed since a day was built.

Counting opens a footer of every file. A day whose folders are as when it was counted last is not counted
again, so that knowing of all days costs a look at each folder.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pyarrow.compute as pc

from features.day_partitions import day_start_ms, days_in
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
from ingestion.lake_events import read_columns
from ingestion.lake_partitions import current_files, footer
from ingestion.whole_files import write_whole

READ = (FollowChanged, TweetCreated, TweetDeleted, RetweetChanged, LikeChanged, Impression, ClientReport)
COUNTED = ".lake_days.json"
SETTLED_NS = 2_000_000_000
"""A folder changed so lately may change once more within what its file system can tell apart."""

LakeState = Mapping[str, int]
"""How many events the lake has of each day, redeliveries included: it only ever grows."""


class _Counted(msgspec.Struct, frozen=True):
    """A day's ``events``, and when each of its folders had changed last, ns."""

    events: int
    changed: dict[str, int]


def lake_state(lake: Path, namespace: str, until_ms: int, counted: Path | None = None) -> LakeState:
    """How many events each day that begins before ``until_ms`` has; compaction changes nothing of it.

    Args:
        counted: the file that remembers days which were counted; without it all are.

    Raises:
        LakeFileError: a file is cut short, or none of Parquet.
    """
    known = _read(counted)
    days = {
        day: _count(folders, known.get(day))
        for day, folders in _days(lake, namespace).items()
        if day_start_ms(day) < until_ms
    }
    if counted is not None:
        settled = time.time_ns() - SETTLED_NS
        kept = {day: found for day, found in days.items() if max(found.changed.values()) < settled}
        write_whole(counted, msgspec.json.encode(known | kept))
    return {day: found.events for day, found in days.items()}


def newest_event_ms(lake: Path, namespace: str, until_ms: int) -> int:
    """The moment of the newest event before ``until_ms``; 0 where there is none."""
    newest = 0
    for event_type in READ:
        began = map(day_start_ms, days_in(event_folder(lake, namespace, event_type)))
        for day_ms in sorted((day_ms for day_ms in began if day_ms < until_ms), reverse=True):
            moments = read_columns(lake, namespace, event_type, ["ts"], day_ms, until_ms).column("ts")
            if len(moments):
                newest = max(newest, pc.max(moments).as_py())
                break
    return newest


def _days(lake: Path, namespace: str) -> dict[str, list[Path]]:
    """The folders of each day, one for each type that has events then."""
    found: dict[str, list[Path]] = {}
    for event_type in READ:
        for day, path in days_in(event_folder(lake, namespace, event_type)).items():
            found.setdefault(day, []).append(path)
    return found


def _count(folders: list[Path], known: _Counted | None) -> _Counted:
    # Asked before the files are listed: one that comes meanwhile has the day counted again.
    changed = {str(folder.absolute()): folder.stat().st_mtime_ns for folder in folders}
    if known is not None and known.changed == changed:
        return known
    return _Counted(
        sum(footer(file).num_rows for folder in folders for file in current_files(folder)), changed
    )


def _read(counted: Path | None) -> dict[str, _Counted]:
    try:
        content = b"{}" if counted is None else counted.read_bytes()
        return msgspec.json.decode(content, type=dict[str, _Counted])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
