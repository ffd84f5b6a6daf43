"""Events read back from the lake: each once, within a span of time, as they were."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.events import Event, TweetCreated
from ingestion.lake import event_folder
from ingestion.lake_events import read_events

HOUR = 3_600_000
DAY = 24 * HOUR
NOON = 20_000 * DAY + 12 * HOUR


def tweet(name: str, ts: int, text: str | None = "words") -> TweetCreated:
    return TweetCreated(event_id=name, ts=ts, tweet_id=ts, author_id=7, text=text, hashtags=("a", "b"))


def put(lake: Path, day: str, file: str, *events: Event) -> None:
    folder = event_folder(lake, "town", TweetCreated) / f"day={day}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([msgspec.structs.asdict(event) for event in events]), folder / file)


FIRST, SECOND, THIRD = tweet("a", NOON), tweet("b", NOON + HOUR, None), tweet("c", NOON + DAY)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    put(tmp_path, "2024-10-04", "part-0.parquet", FIRST, SECOND)
    put(tmp_path, "2024-10-04", "part-1.parquet", SECOND)
    put(tmp_path, "2024-10-05", "part-0.parquet", THIRD)
    put(tmp_path, "2024-10-05", ".part-1.inprogress", tweet("d", NOON + DAY))
    return tmp_path


def read(lake: Path, from_ms: int | None, until_ms: int) -> list[Event]:
    return list(read_events(lake, "town", TweetCreated, from_ms, until_ms))


def test_an_event_that_was_written_twice_is_read_once_and_files_in_progress_are_not(lake: Path) -> None:
    assert read(lake, None, NOON + 2 * DAY) == [FIRST, SECOND, THIRD]


def test_the_end_of_the_span_is_not_in_it(lake: Path) -> None:
    assert read(lake, None, THIRD.ts) == [FIRST, SECOND]
    assert read(lake, SECOND.ts, THIRD.ts + 1) == [SECOND, THIRD]


def test_a_lake_without_the_type_has_no_events(tmp_path: Path) -> None:
    assert read(tmp_path, None, NOON) == []
