"""One build of the offline features in a process of its own, and what it took.

``python -m benchmarks.offline_build LAKE OFFLINE UNTIL_MS SINCE_MS HEAP`` prints a JSON object: seconds from
when Spark has started, rows written, and the greatest resident memory of the JVM and of this process, in MB.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from features.settings import FeatureSettings
from features.spark_session import spark_session
from pipelines.batch.features_job import run
from pipelines.batch.ticks import BuildTime


def build(lake: Path, offline: Path, until_ms: int, since_ms: int, heap: str) -> dict[str, float]:
    """Builds [``since_ms``, ``until_ms``)."""
    spark = spark_session(FeatureSettings(spark_memory=heap))
    spark.range(1000).count()
    started = time.monotonic()
    moment = BuildTime(until_ms, datetime.now(UTC), since_ms)
    tables = run(spark, lake, "", offline, offline / "quality", moment, lambda table: None)
    seconds = time.monotonic() - started
    process = psutil.Process()
    jvm = [child for child in process.children(recursive=True) if child.name() == "java"]
    return {
        "seconds": seconds,
        "rows": sum(table.rows for table in tables),
        "jvm_mb": sum(_peak_mb(child.pid) for child in jvm),
        "python_mb": _peak_mb(process.pid),
    }


def _peak_mb(pid: int) -> float:
    """The greatest resident memory of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    lake, offline, until_ms, since_ms, heap = sys.argv[1:]
    print(json.dumps(build(Path(lake), Path(offline), int(until_ms), int(since_ms), heap)))
