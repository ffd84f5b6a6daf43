"""What must be so before anything is started; each failure is one sentence."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from stack.errors import UserError
from stack.jars import JarError, default_folder, fetch
from stack.java import JavaNotFoundError, find_java

GIB = 1024**3


def require_disk(folder: Path, wanted_gb: float) -> None:
    """``UserError`` unless the file system of ``folder`` has ``wanted_gb`` GiB to spare."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free / GIB
    if free < wanted_gb:
        raise UserError(f"{folder} has {free:.1f} GiB of disk left and the stack needs {wanted_gb:g}.")


def require_java() -> Path:
    """The home of a supported Java."""
    try:
        return find_java(os.environ)
    except JavaNotFoundError as error:
        raise UserError(str(error)) from error


def require_jars(report: Callable[[str], None]) -> Path:
    """The folder of checked jars, downloaded where they are missing."""
    try:
        return fetch(default_folder(), report=report)
    except JarError as error:
        raise UserError(str(error)) from error
