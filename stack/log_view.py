"""Reading logs that are being written, and emptied when they are rotated."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

POLL_SECONDS = 0.3


def tail(log: Path, lines: int) -> list[str]:
    """The last ``lines`` lines."""
    with log.open(errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=lines)]


def follow_logs(logs: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """(log's name, line) for each line added from now on, for ever."""
    offsets = {log: log.stat().st_size for log in logs}
    while True:
        for log in logs:
            if log.stat().st_size < offsets[log]:
                offsets[log] = 0
            with log.open("rb") as file:
                file.seek(offsets[log])
                added = file.read()
            complete = added.rfind(b"\n") + 1
            offsets[log] += complete
            for line in added[:complete].decode(errors="replace").splitlines():
                yield log.stem, line
        time.sleep(POLL_SECONDS)
