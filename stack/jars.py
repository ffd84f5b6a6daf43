"""The Java artifacts: pinned here, resolved by jgo, checked against ``jars.lock``.

``jars.lock`` holds one line per jar, ``<set> <group:artifact:version> <sha256>``, and no addresses. A
folder that already holds every jar of the lock is only checked (size remembered in a stamp), not downloaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOTS: dict[str, tuple[str, ...]] = {
    "kafka": ("org.apache.kafka:kafka_2.13:4.3.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"),
    "flink": (
        "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2",
        "org.apache.flink:flink-sql-parquet:2.3.0",
        "org.apache.hadoop:hadoop-client-api:3.4.3",
        "org.apache.hadoop:hadoop-client-runtime:3.4.3",
    ),
}
WITH_DEPENDENCIES = ("org.apache.kafka:kafka_2.13:4.3.1",)
LOCK = Path(__file__).with_name("jars.lock")
PROJECT = Path(__file__).resolve().parent.parent
STAMP = "checked.json"


class JarError(RuntimeError):
    """An artifact could not be had, or is not the one that was locked."""


@dataclass(frozen=True)
class Jar:
    """One locked artifact; ``group`` is the set it belongs to (kafka or flink)."""

    group: str
    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def parse_lock(text: str) -> list[Jar]:
    """The jars of a lock file; ``JarError`` names the first line that is not one."""
    jars = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        if len(fields) != 3 or fields[1].count(":") != 2 or len(fields[2]) != 64:
            raise JarError(f"Line {number} of jars.lock is not '<set> <group:artifact:version> <sha256>'.")
        jars.append(Jar(*fields))
    return jars


def default_folder() -> Path:
    """The cache, outside git: ``.bootstrap/jars`` of the project."""
    return PROJECT / ".bootstrap" / "jars"


def locked_jars(group: str | None = None) -> list[Jar]:
    """The jars of the committed lock, all or those of one set."""
    return [jar for jar in parse_lock(LOCK.read_text()) if group in (None, jar.group)]


def jar_paths(group: str | None = None, folder: Path | None = None) -> list[Path]:
    """Where the jars of a set are; they are there after ``fetch``."""
    base = folder or default_folder()
    return [base / jar.group / jar.file_name for jar in locked_jars(group)]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp_of(folder: Path, jars: list[Jar]) -> dict[str, list[Any]]:
    stamp: dict[str, list[Any]] = {}
    for jar in jars:
        path = folder / jar.group / jar.file_name
        if path.is_file():
            status = path.stat()
            stamp[f"{jar.group}/{jar.file_name}"] = [jar.sha256, status.st_size, status.st_mtime_ns]
    return stamp


def fetch(
    folder: Path | None = None,
    jars: list[Jar] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Make ``folder`` hold exactly what the lock says and return it; ``JarError`` if that is impossible."""
    base = folder or default_folder()
    wanted = locked_jars() if jars is None else jars
    stamp_file = base / STAMP
    if stamp_file.is_file() and len(stamp := _stamp_of(base, wanted)) == len(wanted):
        try:
            if json.loads(stamp_file.read_text()) == stamp:
                return base
        except ValueError:
            stamp_file.unlink()
    missing = [jar for jar in wanted if not _is_right(base / jar.group / jar.file_name, jar)]
    with _repository(base) as context:
        for number, jar in enumerate(missing, start=1):
            report(f"[{number}/{len(missing)}] {jar.file_name}")
            _install(context, jar, base / jar.group / jar.file_name)
    stamp_file.write_text(json.dumps(_stamp_of(base, wanted)))
    return base


def _is_right(path: Path, jar: Jar) -> bool:
    return path.is_file() and sha256_of(path) == jar.sha256


@contextmanager
def _repository(base: Path) -> Iterator[Any]:
    """A resolver with a throw-away cache, so that half a download is never taken for a jar."""
    from jgo.maven import MavenContext

    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base, prefix="download-") as cache:
        yield MavenContext(repo_cache=Path(cache), local_repos=[], timeout=60)


def _install(context: Any, jar: Jar, target: Path) -> None:
    group, artifact, version = jar.coordinate.split(":")
    error: Exception | None = None
    for _ in range(3):
        try:
            source = context.create_dependency(f"{group}:{artifact}:{version}").artifact.resolve()
            break
        except Exception as failure:  # jgo raises whatever its HTTP library raises
            error = failure
            path = context.create_dependency(f"{group}:{artifact}:{version}").artifact.cached_path
            path.unlink(missing_ok=True)
    else:
        raise JarError(f"{jar.coordinate} could not be downloaded: {type(error).__name__}.") from error
    if sha256_of(source) != jar.sha256:
        raise JarError(f"{jar.file_name} is not the file that was locked (its SHA-256 differs).")
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(shutil.move(source, target.with_suffix(".part")), target)


def resolve_lock() -> str:
    """The text of a new ``jars.lock``: the roots and, of Kafka, what they need to run."""
    lines = ["# <set> <group:artifact:version> <sha256>; written by `make lock`"]
    with tempfile.TemporaryDirectory() as scratch, _repository(Path(scratch)) as context:
        for group, roots in ROOTS.items():
            for root in roots:
                item = context.create_dependency(root)
                needed = context.resolver.resolve([item])[1] if root in WITH_DEPENDENCIES else []
                for jar in sorted([item, *needed], key=lambda d: (d.groupId, d.artifactId)):
                    if jar.type == "jar" and not jar.classifier:
                        coordinate = f"{jar.groupId}:{jar.artifactId}:{jar.version}"
                        lines.append(f"{group} {coordinate} {sha256_of(jar.artifact.resolve())}")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """``python -m stack.jars`` fetches; ``python -m stack.jars lock`` writes a new lock."""
    try:
        if arguments == ["lock"]:
            LOCK.write_text(resolve_lock())
        else:
            fetch(report=lambda line: print(f"  {line}", flush=True))
    except (JarError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
