"""Cursors are opaque, signed and bound to their reader."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from serving.feed.cursor import ChronologicalCursor, CursorError, CursorSigner, RankedCursor, load_key

SIGNER = CursorSigner(b"k" * 32)
CURSORS = [
    ChronologicalCursor(2**63 - 1, 17, 20, "requested"),
    ChronologicalCursor(5, 4, 40, "deadline"),
    RankedCursor("0123456789abcdef" * 2, 99),
]


@pytest.mark.parametrize("cursor", CURSORS)
def test_a_cursor_reads_back_as_it_was_written(cursor: ChronologicalCursor | RankedCursor) -> None:
    assert SIGNER.read(SIGNER.write(cursor, 7), 7) == cursor


@pytest.mark.parametrize("cursor", CURSORS)
def test_a_changed_byte_anywhere_is_refused(cursor: ChronologicalCursor | RankedCursor) -> None:
    text = SIGNER.write(cursor, 7)
    for place in range(len(text) - 1):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        with pytest.raises(CursorError):
            SIGNER.read(changed, 7)


@pytest.mark.parametrize("text", ["", "x", "????", "ü", "A" * 200])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        SIGNER.read(text, 7)


def test_another_key_refuses_the_cursor() -> None:
    with pytest.raises(CursorError):
        CursorSigner(b"x" * 32).read(SIGNER.write(CURSORS[0], 7), 7)


def test_the_key_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "cursor.key"
    key = load_key(path)
    assert len(key) == 32
    assert load_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
