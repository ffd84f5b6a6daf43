"""How many events each day of the lake has, without opening what was counted already."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from features.day_partitions import day_name
from ingestion.events import FollowChanged, LikeChanged
from ingestion.lake_compaction import compact
from ingestion.lake_files import write_lake
from ingestion.lake_partitions import LakeFileError
from pipelines.batch.lake_days import COUNTED, lake_state, newest_event_ms
from timelines.durations import DAY_MS

START = 20_000 * DAY_MS
LIKES = [
    LikeChanged(event_id=str(n), ts=START + n * DAY_MS, user_id=1, tweet_id=2, author_id=3, active=True)
    for n in range(3)
]


def day(number: int) -> str:
    return day_name(START + number * DAY_MS)


def as_if_changed(lake: Path, seconds_ago: int) -> None:
    moment = time.time() - seconds_ago
    for folder in (lake / "like_changed").iterdir():
        os.utime(folder, (moment, moment))


def test_the_state_of_a_day_is_how_many_events_it_has_however_they_lie(tmp_path: Path) -> None:
    lake = write_lake(tmp_path / "lake", LIKES)
    before = lake_state(lake, "", START + 2 * DAY_MS)
    assert sorted(before) == [day(0), day(1)]
    folder = lake / "like_changed" / f"day={day(1)}"
    (folder / ".being-written").write_bytes(b"1")
    assert lake_state(lake, "", START + 2 * DAY_MS) == before == {day(0): 1, day(1): 1}
    write_lake(lake, [msgspec.structs.replace(LIKES[1], event_id="late")], part="part-1")
    assert lake_state(lake, "", START + 2 * DAY_MS) == {day(0): 1, day(1): 2}
    now = datetime.fromtimestamp(START / 1000, tz=UTC)
    assert list(compact(lake, "", now.date() + timedelta(days=9), timedelta(days=1), now))
    assert lake_state(lake, "", START + 2 * DAY_MS) == {day(0): 1, day(1): 2}


def test_a_day_that_was_counted_is_not_opened_again_until_its_folder_changes(tmp_path: Path) -> None:
    lake, counted = write_lake(tmp_path / "lake", LIKES), tmp_path / "offline" / COUNTED
    as_if_changed(lake, seconds_ago=3600)
    before = lake_state(lake, "", START + 9 * DAY_MS, counted)
    assert before == {day(number): 1 for number in range(3)}
    for number in (0, 1):
        (file,) = (lake / "like_changed" / f"day={day(number)}").glob("*.parquet")
        file.write_bytes(b"this file must not be opened")
    assert lake_state(lake, "", START + 9 * DAY_MS, counted) == before
    # Of the third day there is one more, which has that day alone counted anew.
    write_lake(lake, [msgspec.structs.replace(LIKES[2], event_id="late")], part="part-1")
    assert lake_state(lake, "", START + 9 * DAY_MS, counted) == before | {day(2): 2}
    (lake / "like_changed" / f"day={day(1)}" / "part-9.parquet").write_bytes(b"late, and broken")
    with pytest.raises(LakeFileError, match=f"day={day(1)}"):
        lake_state(lake, "", START + 9 * DAY_MS, counted)


def test_a_day_that_changes_just_now_is_counted_again(tmp_path: Path) -> None:
    """What its file system tells of a folder may not show a second change in the same instant."""
    lake, counted = write_lake(tmp_path / "lake", LIKES), tmp_path / COUNTED
    as_if_changed(lake, seconds_ago=-60)
    lake_state(lake, "", START + 9 * DAY_MS, counted)
    for file in lake.rglob("*.parquet"):
        file.write_bytes(b"of the same instant")
    with pytest.raises(LakeFileError):
        lake_state(lake, "", START + 9 * DAY_MS, counted)


def test_a_note_that_cannot_be_read_has_all_days_counted(tmp_path: Path) -> None:
    lake, counted = write_lake(tmp_path / "lake", LIKES), tmp_path / COUNTED
    counted.write_text("{")
    assert len(lake_state(lake, "", START + 9 * DAY_MS, counted)) == 3
    assert isinstance(msgspec.json.decode(counted.read_bytes()), dict)


def test_the_newest_event_is_that_of_any_type_before_the_moment(tmp_path: Path) -> None:
    assert newest_event_ms(tmp_path, "", START) == 0
    liked = [
        LikeChanged(event_id=f"l{ts}", ts=ts, user_id=1, tweet_id=2, author_id=3, active=True)
        for ts in (START + 5, START + DAY_MS + 7, START + 3 * DAY_MS)
    ]
    follow = FollowChanged(event_id="f", ts=START + DAY_MS + 9, follower_id=1, followee_id=2, active=True)
    lake = write_lake(tmp_path, [*liked, follow])
    assert newest_event_ms(lake, "", START + 9 * DAY_MS) == START + 3 * DAY_MS
    assert newest_event_ms(lake, "", START + 2 * DAY_MS) == START + DAY_MS + 9
    # The newest day has events only from that moment on.
    assert newest_event_ms(lake, "", START + 3 * DAY_MS) == START + DAY_MS + 9
    assert newest_event_ms(lake, "", START + 5) == 0
