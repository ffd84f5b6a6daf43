"""Tables kept by the day, and which of their days are opened."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.day_partitions import SUCCESS, newest_parts, put, unfinished

DAYS = [f"2026-11-{day:02}" for day in range(10, 20)]


def write(table: Path, name: str, rows: int) -> None:
    (table / name).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"label": [0.0] * rows}), table / name / "part-0.parquet")


@pytest.mark.parametrize(("rows", "opened"), [(1, 1), (100, 1), (101, 2), (250, 3)])
def test_as_many_of_the_newest_days_are_opened_as_have_the_rows(
    rows: int, opened: int, tmp_path: Path
) -> None:
    for day in DAYS:
        write(tmp_path, f"day={day}", 100)
    for day in DAYS[:-opened]:
        (tmp_path / f"day={day}" / "part-0.parquet").write_bytes(b"this file must not be opened")
    (tmp_path / "_SUCCESS").touch()
    found = newest_parts(tmp_path, rows)
    assert [part.parent.name for part in found] == [f"day={day}" for day in DAYS[-opened:][::-1]]


def test_a_table_of_fewer_rows_is_opened_whole_and_one_without_days_is_one_part(tmp_path: Path) -> None:
    for day in DAYS:
        write(tmp_path / "days", f"day={day}", 100)
    assert len(newest_parts(tmp_path / "days", 5000)) == len(DAYS)
    write(tmp_path, "flat", 3)
    assert newest_parts(tmp_path / "flat", 1) == [tmp_path / "flat" / "part-0.parquet"]
    assert newest_parts(tmp_path / "nowhere", 1) == []


def test_a_table_whose_days_are_being_replaced_does_not_say_that_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, staged = tmp_path / "table", tmp_path / ".staging" / "table"
    for folder in (table, staged):
        for day in ("2026-11-20", "2026-11-21"):
            (folder / f"day={day}").mkdir(parents=True)
    (table / SUCCESS).touch()
    assert unfinished(tmp_path) == []
    renames = iter([True, True, True, False])
    rename = Path.rename

    def killed(path: Path, target: Path) -> Path:
        if not next(renames):
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as dying:
        dying.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            put(staged, table, "2026-11-20")
    assert unfinished(tmp_path) == ["table"]
    put(staged, table, "2026-11-20")
    assert unfinished(tmp_path) == []
