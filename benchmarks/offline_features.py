"""How the cost of the offline features grows with the lake: all days at once, then one day more.

The lakes are made up by Spark (``offline_events``), ten days each. Every build has its own process, so that
its memory is its own. One million events unless more are asked for: ``--events 1000000 --events 30000000``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.offline_events import DAYS, START_MS
from timelines.durations import DAY_MS

SIZES = (1_000_000,)
HEAP = "2g"


@contextmanager
def trial(events: Sequence[int] = ()) -> Iterator[Trial]:
    """Of each size events/s of a whole build, seconds of a day's, and memory; and how these grow.

    Raises:
        BenchmarkRefusedError: fewer than 10,000 events.
    """
    sizes = sorted({*(events or SIZES)})
    if sizes[0] < 10_000:
        raise BenchmarkRefusedError(f"{sizes[0]} events are too few to measure by: 10,000 are not.")
    with tempfile.TemporaryDirectory(prefix="tideline-bench-") as folder:
        for size in sizes:
            _run("benchmarks.offline_events", str(_lake(folder, size)), str(size))
        yield Trial("offline-features", lambda: _figures(Path(folder), sizes), warmups=0)


def _figures(folder: Path, sizes: Sequence[int]) -> Figures:
    figures: dict[str, float] = {}
    for size in sizes:
        # All but the last day, then the last: what a nightly run costs.
        last, end = START_MS + (DAYS - 1) * DAY_MS, START_MS + DAYS * DAY_MS
        offline = folder / f"offline-{size}"
        whole = _build(_lake(folder, size), offline, last, 0)
        day = _build(_lake(folder, size), offline, end, last)
        figures |= {
            f"events_per_s_{size}": size * (DAYS - 1) / DAYS / whole["seconds"],
            f"rows_per_s_{size}": whole["rows"] / whole["seconds"],
            f"jvm_mb_{size}": max(whole["jvm_mb"], day["jvm_mb"]),
            f"python_mb_{size}": max(whole["python_mb"], day["python_mb"]),
            f"whole_s_{size}": whole["seconds"],
            f"day_s_{size}": day["seconds"],
        }
    first = sizes[0]
    for size in sizes[1:]:
        # 1: as many times the seconds as events.
        for what in ("whole", "day"):
            grown = figures[f"{what}_s_{size}"] / figures[f"{what}_s_{first}"]
            figures[f"{what}_growth_{size}"] = grown / (size / first)
    return figures


def _build(lake: Path, offline: Path, until_ms: int, since_ms: int) -> dict[str, float]:
    answer = _run("benchmarks.offline_build", str(lake), str(offline), str(until_ms), str(since_ms), HEAP)
    found: dict[str, float] = json.loads(answer.splitlines()[-1])
    return found


def _run(module: str, *arguments: str) -> str:
    """What a module prints.

    Raises:
        BenchmarkRefusedError: it failed.
    """
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no word"]
        raise BenchmarkRefusedError(f"{module} failed: {last[0]}")
    return done.stdout


def _lake(folder: str | Path, size: int) -> Path:
    return Path(folder) / f"lake-{size}"
