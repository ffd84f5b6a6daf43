"""The folder of a loop: a new run takes the place of the last one, and of nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from stack import lifecycle
from stack.errors import UserError
from stack.layout import Layout

MARK = ".closed-loop"


def claim(folder: Path) -> None:
    """Make the folder empty, and a loop's.

    Raises:
        UserError: it holds something else than a loop, is a file, or a loop is under way in it.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: name a folder for the loop with --out.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise UserError(f"{folder} holds something else than a loop: name a folder of its own with --out.")
    if lifecycle.running(Layout(folder.absolute())):
        raise UserError(f"A loop is under way in {folder}: wait for it, or name another folder with --out.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
