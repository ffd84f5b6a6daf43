"""The files of one partition of the lake: parts as they were archived, and wholes that stand for parts.

A whole, ``whole-<moment>.parquet``, names in its footer the files that it stands for. They stay beside it for
a while, so that who has listed them can read them to the end: in that time a reader of all files meets rows
twice, as after a redelivery, and one of :func:`current_files` meets each once. A whole appears with its list
at one instant: there is no moment at which a row is missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

STANDS_FOR = b"tideline.stands_for"
WHOLE = "whole-"
_MOMENT = "%Y%m%dT%H%M%S%f"


class LakeFileError(RuntimeError):
    """Files of the lake cannot be read; one sentence names the first."""


def footer(path: Path) -> Any:
    """The metadata of a file: its columns, rows and what was noted beside them.

    Raises:
        LakeFileError: the file is cut short, or none of Parquet.
    """
    try:
        return pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise LakeFileError(
            f"{path} is not a whole Parquet file: take it away, and replay that day into the lake."
        ) from error


def visible_files(day: Path) -> list[Path]:
    """Every file of a partition that is not still being written, by name."""
    return sorted(day.glob("[!._]*"))


def current_files(day: Path) -> list[Path]:
    """The files that together hold every row of a partition once."""
    return current(visible_files(day))


def current(files: Sequence[Path]) -> list[Path]:
    """Those of a partition's files that no other stands for."""
    replaced = frozenset[str]().union(*(stands_for(path) for path in files))
    return [path for path in files if path.name not in replaced]


def stands_for(path: Path) -> frozenset[str]:
    """The names of the files that this one stands for; none for a part.

    Raises:
        LakeFileError: a whole cannot be read.
    """
    if not path.name.startswith(WHOLE):
        return frozenset()
    return frozenset(json.loads((footer(path).metadata or {}).get(STANDS_FOR, b"[]")))


def whole_name(moment: datetime) -> str:
    """The name of a whole that is made at a moment."""
    return f"{WHOLE}{moment.astimezone(UTC):{_MOMENT}}.parquet"


def made_at(whole: Path) -> datetime:
    """The moment of :func:`whole_name`, UTC."""
    return datetime.strptime(whole.stem.removeprefix(WHOLE), _MOMENT).replace(tzinfo=UTC)
