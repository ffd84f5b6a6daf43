"""What tests of DAGs do with Tideline's own packages: run by the Python of .venv, with a verb."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from ingestion.events import Impression
from ingestion.lake import event_folder
from ingestion.lake_partitions import current_files
from pipelines.settings import StreamSettings
from stack import catching_up
from stack.jobs import stream_jobs


def await_archive() -> None:
    """Until every event of the log is in a file of the lake."""
    settings = StreamSettings()
    jobs = stream_jobs(settings.namespace, ["archive"], settings.projections)
    catching_up.wait(settings, jobs, Console(stderr=True))


def redeliver() -> None:
    """An impression of the first day again, in a file of its own."""
    day = min(_days())
    pq.write_table(_first_row(day), day / "part-again")


def plant() -> None:
    """An impression at a place that no page has; prints its file."""
    day = max(_days())
    row = _first_row(day)
    for name, value in {"event_id": "planted", "request_id": "planted", "position": -1}.items():
        at = row.schema.get_field_index(name)
        row = row.set_column(at, row.schema.field(at), pa.array([value], row.schema.field(at).type))
    planted = day / "part-planted"
    pq.write_table(row, planted)
    print(planted)


def _days() -> list[Path]:
    settings = StreamSettings()
    return list(event_folder(settings.lake.path, settings.namespace, Impression).glob("day=*"))


def _first_row(day: Path) -> Any:
    return pq.ParquetFile(current_files(day)[0]).read().slice(0, 1)


def main() -> None:
    {"await_archive": await_archive, "redeliver": redeliver, "plant": plant}[sys.argv[1]]()


if __name__ == "__main__":
    main()
