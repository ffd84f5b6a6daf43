"""Compaction of the lake: fewer files, the same events at every moment, whoever reads, whatever is killed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ingestion.events import Event, TweetCreated
from ingestion.lake import event_folder
from ingestion.lake_compaction import CompactedDay, LakeFileError, compact
from ingestion.lake_events import arrow_schema, read_columns, read_events
from ingestion.lake_partitions import current_files
from stack.cli import app

NIGHT = datetime(2026, 1, 6, 1, tzinfo=UTC)
KEEP = timedelta(hours=24)
NOON_MS = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp() * 1000)
FOREVER = NOON_MS * 2


def tweet(number: int) -> TweetCreated:
    return TweetCreated(
        event_id=f"e{number:02}", ts=NOON_MS + number, tweet_id=number, author_id=7, text="", hashtags=("a",)
    )


def partition(lake: Path, day: str = "2026-01-05") -> Path:
    return event_folder(lake, "", TweetCreated) / f"day={day}"


def put(folder: Path, file: str, *events: Event) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [msgspec.structs.asdict(event) for event in events]
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(TweetCreated)), folder / file)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Eight tweets of one day in four files."""
    for part in range(4):
        put(partition(tmp_path), f"part-{part}", tweet(2 * part), tweet(2 * part + 1))
    return tmp_path


def run(lake: Path, now: datetime = NIGHT) -> list[CompactedDay]:
    return list(compact(lake, "", date(2026, 1, 6), KEEP, now))


def ids(lake: Path) -> list[str]:
    """As rows lie there: one that is there twice is named twice."""
    return sorted(read_columns(lake, "", TweetCreated, ["event_id"], None, FOREVER)["event_id"].to_pylist())


def ids_of_all_files(lake: Path) -> set[str]:
    """What a reader that knows nothing of wholes finds, once it has dropped what is there twice."""
    return set(ds.dataset(partition(lake), format="parquet").to_table()["event_id"].to_pylist())


def names(lake: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in partition(lake).iterdir())


EIGHT = [tweet(number).event_id for number in range(8)]


def test_many_files_become_one_of_the_same_events(lake: Path) -> None:
    before = list(read_events(lake, "", TweetCreated, None, FOREVER))
    assert run(lake) == [CompactedDay("tweet_created", date(2026, 1, 5), 4, 8, 0)]
    (whole,) = current_files(partition(lake))
    assert pq.read_metadata(whole).num_rows == 8
    assert list(read_events(lake, "", TweetCreated, None, FOREVER)) == before


def test_what_was_replaced_stays_for_those_who_read_it_and_goes_later(lake: Path) -> None:
    run(lake)
    assert names(lake) == ["part"] * 4 + ["whole"]
    assert run(lake, NIGHT + KEEP / 2) == []
    assert ids(lake) == EIGHT
    assert run(lake, NIGHT + KEEP) == [CompactedDay("tweet_created", date(2026, 1, 5), 0, 0, 4)]
    assert names(lake) == ["whole"]
    assert ids(lake) == EIGHT
    assert run(lake, NIGHT + 2 * KEEP) == []


def test_who_reads_meanwhile_reads_every_event_once(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestion.lake_events.BATCH_ROWS", 1)
    reading = read_events(lake, "", TweetCreated, None, FOREVER)
    first = next(reading)
    run(lake)
    assert [first, *reading] == [tweet(number) for number in range(8)]


def test_late_events_join_the_whole_and_nothing_counts_twice(lake: Path) -> None:
    run(lake)
    put(partition(lake), "part-late", tweet(8))
    assert ids(lake) == [*EIGHT, "e08"]
    assert run(lake, NIGHT + KEEP / 2)[0].rows == 9
    assert ids(lake) == [*EIGHT, "e08"]
    assert names(lake) == ["part"] * 5 + ["whole"] * 2
    assert run(lake, NIGHT + 2 * KEEP)[0].removed == 6
    assert names(lake) == ["whole"]
    assert ids(lake) == [*EIGHT, "e08"]


def test_a_file_that_appears_while_the_others_are_merged_is_neither_lost_nor_twice(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingestion import lake_compaction

    written = lake_compaction._schema

    def meanwhile(*arguments: Any) -> Any:
        put(partition(lake), "part-meanwhile", tweet(8))
        return written(*arguments)

    monkeypatch.setattr(lake_compaction, "_schema", meanwhile)
    run(lake)
    assert ids(lake) == [*EIGHT, "e08"]


class Killed(BaseException):
    """The process ends here."""


def until_none_is_left(step: Callable[..., Any], left: Iterator[int]) -> Callable[..., Any]:
    def act(*arguments: Any) -> Any:
        if next(left) <= 0:
            raise Killed
        return step(*arguments)

    return act


@pytest.mark.parametrize("steps", range(12))
def test_a_run_killed_after_any_step_loses_nothing_and_the_next_one_ends_its_work(
    lake: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    run(lake)
    put(partition(lake), "part-late", tweet(8))
    left = itertools.count(steps, -1)
    with monkeypatch.context() as patch:
        for name in ("replace", "unlink"):
            patch.setattr(Path, name, until_none_is_left(getattr(Path, name), left))
        try:
            run(lake, NIGHT + KEEP)
            run(lake, NIGHT + 2 * KEEP)
        except Killed:
            pass
        else:
            assert steps > 6
    assert ids(lake) == [*EIGHT, "e08"]
    assert ids_of_all_files(lake) == {*EIGHT, "e08"}
    run(lake, NIGHT + 3 * KEEP)
    run(lake, NIGHT + 4 * KEEP)
    assert names(lake) == ["whole"]
    assert ids(lake) == [*EIGHT, "e08"]


def test_days_that_are_not_over_and_files_in_progress_stay(lake: Path) -> None:
    put(partition(lake, "2026-01-06"), "part-0", tweet(20))
    put(partition(lake, "2026-01-06"), "part-1", tweet(21))
    put(partition(lake), ".part-9.inprogress", tweet(9))
    run(lake)
    assert len(current_files(partition(lake, "2026-01-06"))) == 2
    assert (partition(lake) / ".part-9.inprogress").exists()
    assert ids(lake) == [*EIGHT, "e20", "e21"]


def test_a_day_of_one_file_stays_as_it_is(tmp_path: Path) -> None:
    put(partition(tmp_path), "part-0", tweet(0))
    assert run(tmp_path) == []
    assert names(tmp_path) == ["part"]


def test_columns_that_one_build_has_and_another_has_not_are_kept(tmp_path: Path) -> None:
    folder = partition(tmp_path)
    put(folder, "part-0", tweet(0))
    columns = {"event_id": ["old"], "ts": [NOON_MS], "tweet_id": [9], "author_id": [7], "mood": ["fine"]}
    pq.write_table(pa.table(columns), folder / "part-1")
    run(tmp_path)
    (whole,) = current_files(folder)
    rows = {row["event_id"]: row for row in pq.ParquetFile(whole).read().to_pylist()}
    assert (rows["old"]["mood"], rows["old"]["hashtags"]) == ("fine", None)
    assert (rows["e00"]["mood"], rows["e00"]["hashtags"]) == (None, ["a"])


def test_row_groups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestion.lake_compaction.ROW_GROUP", 3)
    for part in range(5):
        put(partition(tmp_path), f"part-{part}", tweet(2 * part), tweet(2 * part + 1))
    run(tmp_path)
    (whole,) = current_files(partition(tmp_path))
    footer = pq.read_metadata(whole)
    assert max(footer.row_group(number).num_rows for number in range(footer.num_row_groups)) <= 3
    assert footer.num_rows == 10


def test_a_file_that_is_none_is_named_and_other_days_are_compacted(lake: Path) -> None:
    folder = partition(lake, "2026-01-04")
    put(folder, "part-0", tweet(0))
    (folder / "part-1").write_bytes(b"PAR1 and no more")
    with pytest.raises(LakeFileError, match=r"day=2026-01-04 is no Parquet file of tweet_created"):
        run(lake)
    assert sorted(path.name for path in folder.iterdir()) == ["part-0", "part-1"]
    assert len(current_files(partition(lake))) == 1


def test_the_command_says_what_it_did(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDELINE_HOME", str(lake / "home"))
    monkeypatch.setenv("TIDELINE_LAKE__PATH", str(lake))
    first = CliRunner().invoke(app, ["lake", "compact"], catch_exceptions=False).output
    assert "tweet_created     2026-01-05  4 files made one of 8 rows" in first
    asked = ["lake", "compact", "--keep-hours", "0", "--json"]
    again = CliRunner().invoke(app, asked, catch_exceptions=False).output
    assert again.strip() == '{"partitions": 1, "merged": 0, "removed": 4}'
    assert "nothing to compact" in CliRunner().invoke(app, ["lake", "compact"]).output
