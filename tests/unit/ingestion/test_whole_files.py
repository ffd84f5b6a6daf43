"""Files that are replaced as a whole."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingestion.whole_files import write_whole


def test_a_write_that_dies_halfway_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "below" / "trained.json"
    write_whole(path, "alt, schön")
    assert path.read_text(encoding="utf-8") == "alt, schön"
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *arguments: (_ for _ in ()).throw(OSError("the machine stopped")))
        with pytest.raises(OSError, match="stopped"):
            write_whole(path, b"new")
    assert path.read_text(encoding="utf-8") == "alt, schön"
    write_whole(path, b"new")
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == b"new"


def test_threads_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    path, contents = tmp_path / "report.json", {letter * 200_000 for letter in "abcd"}
    write_whole(path, "a" * 200_000)

    def write(content: str) -> bool:
        write_whole(path, content)
        return path.read_text() in contents

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(write, [*contents] * 25))
