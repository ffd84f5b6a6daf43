"""The lake as the archive job leaves it, without that job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.events import Event
from ingestion.lake import event_folder
from ingestion.lake_events import arrow_schema


def write_lake(lake: Path, events: Iterable[Event], namespace: str = "", part: str = "part-0") -> Path:
    """The events as the archive job leaves them; ``part`` names the files, which must not be there yet.

    Raises:
        FileExistsError: there is a file of that name.
    """
    found: dict[tuple[type[Event], str], list[Event]] = defaultdict(list)
    for event in events:
        day = datetime.fromtimestamp(event.ts / 1000, tz=UTC).strftime("%Y-%m-%d")
        found[type(event), day].append(event)
    for (event_type, day), of_day in found.items():
        folder = event_folder(lake, namespace, event_type) / f"day={day}"
        folder.mkdir(parents=True, exist_ok=True)
        rows = [msgspec.structs.asdict(event) for event in of_day]
        with (folder / f"{part}.parquet").open("xb") as file:
            pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(event_type)), file)
    return lake
