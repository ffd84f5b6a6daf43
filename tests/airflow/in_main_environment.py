"""What tests of DAGs do with Tideline's own packages: run by the Python of .venv, with a verb."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.events import Impression
from ingestion.lake import event_folder, event_types
from ingestion.lake_partitions import current_files
from pipelines.settings import StreamSettings

PATIENCE_S = 240


def await_archive(events: str) -> None:
    """Until so many events are in files of the lake."""
    settings = StreamSettings()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        folders = [event_folder(settings.lake.path, settings.namespace, kind) for kind in event_types()]
        files = [file for folder in folders for day in folder.glob("day=*") for file in current_files(day)]
        rows = sum(pq.read_metadata(file).num_rows for file in files)
        if rows >= int(events):
            return
        assert time.monotonic() < deadline, f"{rows} of {events} events are in the lake."
        time.sleep(0.5)


def redeliver() -> None:
    """An impression of the first day again, in a file of its own."""
    day = min(_days())
    pq.write_table(_first_row(day), day / "part-again")


def plant() -> None:
    """An impression at a place that no page has, on a day that is over; prints its file."""
    day = sorted(_days())[-2]
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
    verbs: dict[str, Callable[..., None]] = {
        "await_archive": await_archive,
        "redeliver": redeliver,
        "plant": plant,
    }
    verbs[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
