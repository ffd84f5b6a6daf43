"""Which Java is chosen, from homes made of a shell script and a ``release`` file."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.java import JavaNotFoundError, export_java, find_java, version_of


def java_home(folder: Path, version: str, release: bool = True) -> Path:
    binary = folder / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    binary.chmod(0o755)
    if release:
        (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return folder


def test_java_home_comes_first(tmp_path: Path) -> None:
    chosen = java_home(tmp_path / "chosen", "21.0.2")
    other = java_home(tmp_path / "other", "17.0.9")
    environ = {"JAVA_HOME": str(chosen), "PATH": str(other / "bin")}
    assert find_java(environ, ()) == chosen


def test_a_newer_java_on_the_path_is_passed_over(tmp_path: Path) -> None:
    newer = java_home(tmp_path / "newer", "25.0.1")
    java_home(tmp_path / "jvm" / "b-17", "17.0.15")
    environ = {"PATH": str(newer / "bin")}
    assert find_java(environ, (str(tmp_path / "jvm"),)) == tmp_path / "jvm" / "b-17"


def test_a_newer_java_home_is_passed_over(tmp_path: Path) -> None:
    newer = java_home(tmp_path / "newer", "25")
    supported = java_home(tmp_path / "supported", "17.0.1")
    assert find_java({"JAVA_HOME": str(newer), "PATH": str(supported / "bin")}, ()) == supported


def test_a_home_without_a_release_file_is_asked(tmp_path: Path) -> None:
    assert version_of(java_home(tmp_path / "quiet", "17.0.3", release=False)) == 17


def test_the_old_numbering_is_understood(tmp_path: Path) -> None:
    assert version_of(java_home(tmp_path / "old", "1.8.0_392")) == 8


def test_a_folder_without_java_has_no_version(tmp_path: Path) -> None:
    assert version_of(tmp_path) is None


def test_the_refusal_names_what_was_found_and_what_to_install(tmp_path: Path) -> None:
    newer = java_home(tmp_path / "newer", "25.0.1")
    with pytest.raises(JavaNotFoundError, match=r"only 25 in .*newer.*openjdk-17-jre-headless"):
        find_java({"JAVA_HOME": str(newer), "PATH": ""}, ())


def test_export_replaces_an_unsupported_java_home(tmp_path: Path) -> None:
    newer = java_home(tmp_path / "newer", "25")
    supported = java_home(tmp_path / "supported", "21")
    environ = {"JAVA_HOME": str(newer), "PATH": str(supported / "bin")}
    export_java(environ)
    assert environ["JAVA_HOME"] == str(supported)
