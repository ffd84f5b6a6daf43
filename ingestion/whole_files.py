"""Small files that others read while they are written: each is replaced as a whole."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Make ``path`` a file of ``content``; who reads it meets the old one or the new one, never a part.

    A process that dies on the way leaves the old file as it was. Text is written as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of this thread: two writers at once must not share it.
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
