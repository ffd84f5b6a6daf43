"""Events read back from the lake: each once, within a span of time, as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.events import Event, Impression, TweetCreated
from ingestion.lake import event_folder
from ingestion.lake_events import read_events

HOUR = 3_600_000
DAY = 24 * HOUR
NOON = 20_000 * DAY + 12 * HOUR


def tweet(name: str, ts: int, text: str | None = "words") -> TweetCreated:
    return TweetCreated(event_id=name, ts=ts, tweet_id=ts, author_id=7, text=text, hashtags=("a", "b"))


def put(lake: Path, day: str, file: str, *events: Event) -> None:
    write(lake, day, file, TweetCreated, [msgspec.structs.asdict(event) for event in events])


def write(lake: Path, day: str, file: str, event_type: type[Event], rows: list[dict[str, Any]]) -> None:
    folder = event_folder(lake, "town", event_type) / f"day={day}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / file)


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


def test_a_file_from_before_a_field_was_added_reads_as_events_without_it(tmp_path: Path) -> None:
    old = {"event_id": "i", "ts": NOON, "request_id": "q", "user_id": 1, "tweet_id": 2, "author_id": 3}
    old |= {
        "position": 0,
        "source": "following",
        "rung": "full",
        "model": None,
        "features": [0.5, None],
        "v": 1,
    }
    new = old | {"event_id": "j", "arm": "e:control", "propensity": 0.5}
    write(tmp_path, "2024-10-04", "part-0.parquet", Impression, [old])
    write(tmp_path, "2024-10-04", "part-1.parquet", Impression, [new])
    first, second = read_events(tmp_path, "town", Impression, None, NOON + DAY)
    assert first == msgspec.convert(old, Impression)
    assert second == msgspec.convert(new, Impression)
