"""From when on the frame of the training examples is to be joined again."""

from __future__ import annotations

from pathlib import Path

from features.examples import UNJOINED, joined, outdate, unjoined_since


def test_what_is_left_unjoined_is_remembered_from_its_earliest_moment_on(tmp_path: Path) -> None:
    assert unjoined_since(tmp_path) is None
    outdate(tmp_path, 500)
    outdate(tmp_path, 300)
    outdate(tmp_path, 700)
    assert unjoined_since(tmp_path) == 300
    joined(tmp_path)
    assert unjoined_since(tmp_path) is None
    joined(tmp_path)


def test_a_note_that_cannot_be_read_has_all_joined(tmp_path: Path) -> None:
    (tmp_path / UNJOINED).write_text("{")
    assert unjoined_since(tmp_path) == 0
    outdate(tmp_path, 500)
    assert unjoined_since(tmp_path) == 0
