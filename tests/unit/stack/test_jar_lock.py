"""The lock of the Java artifacts, and the folder that must match it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stack import jars
from stack.jars import Jar, JarError, fetch, locked_jars, parse_lock


def jar(content: bytes, coordinate: str = "org.example:thing:1.0") -> Jar:
    return Jar("flink", coordinate, hashlib.sha256(content).hexdigest())


def put(folder: Path, wanted: Jar, content: bytes) -> Path:
    path = folder / wanted.group / wanted.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@contextmanager
def no_repository(base: Path) -> Iterator[Any]:
    base.mkdir(parents=True, exist_ok=True)
    yield None


def test_the_committed_lock_is_whole() -> None:
    names = {jar.file_name for jar in locked_jars()}
    for roots in jars.ROOTS.values():
        for root in roots:
            _, artifact, version = root.split(":")
            assert f"{artifact}-{version}.jar" in names


def test_the_committed_lock_holds_no_address() -> None:
    assert "://" not in jars.LOCK.read_text()


def test_no_artifact_is_locked_in_two_versions() -> None:
    for group in jars.ROOTS:
        artifacts = [jar.coordinate.rsplit(":", 1)[0] for jar in locked_jars(group)]
        assert len(artifacts) == len(set(artifacts))


def test_a_line_that_is_no_jar_is_named_by_its_number() -> None:
    with pytest.raises(JarError, match=r"Line 2 of jars\.lock"):
        parse_lock("# comment\nkafka org.example:thing abc\n")


def test_a_complete_folder_is_accepted_and_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "_repository", no_repository)
    wanted = jar(b"content")
    put(tmp_path, wanted, b"content")
    assert fetch(tmp_path, [wanted]) == tmp_path
    monkeypatch.setattr(
        jars, "sha256_of", lambda path: pytest.fail("a remembered folder is not hashed again")
    )
    assert fetch(tmp_path, [wanted]) == tmp_path


def test_a_jar_that_was_changed_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "_repository", no_repository)
    fetched = []
    monkeypatch.setattr(jars, "_install", lambda context, wanted, target: fetched.append(wanted))
    wanted = jar(b"content")
    path = put(tmp_path, wanted, b"content")
    fetch(tmp_path, [wanted])
    path.write_bytes(b"something else")
    fetch(tmp_path, [wanted])
    assert fetched == [wanted]


def test_a_broken_stamp_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "_repository", no_repository)
    wanted = jar(b"content")
    put(tmp_path, wanted, b"content")
    (tmp_path / jars.STAMP).write_text("{")
    fetch(tmp_path, [wanted])
    assert json.loads((tmp_path / jars.STAMP).read_text())


class Repository:
    """Serves one file for every coordinate."""

    def __init__(self, source: Path) -> None:
        self.source = source

    def create_dependency(self, coordinate: str) -> Any:
        repository = self

        class Dependency:
            artifact: Any

        dependency = Dependency()
        dependency.artifact = dependency
        dependency.resolve = lambda: repository.source  # type: ignore[attr-defined]
        return dependency


def test_a_download_that_is_not_the_locked_file_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "download.jar"
    source.write_bytes(b"tampered")
    with pytest.raises(JarError, match=r"thing-1\.0\.jar is not the file that was locked"):
        jars._install(Repository(source), jar(b"content"), tmp_path / "flink" / "thing-1.0.jar")
    assert not (tmp_path / "flink").exists()


def test_a_download_that_matches_takes_its_place(tmp_path: Path) -> None:
    source = tmp_path / "download.jar"
    source.write_bytes(b"content")
    target = tmp_path / "flink" / "thing-1.0.jar"
    jars._install(Repository(source), jar(b"content"), target)
    assert target.read_bytes() == b"content"
