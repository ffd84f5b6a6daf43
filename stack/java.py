"""Finding a Java that Flink 2.3, Kafka 4 and Spark 4.3 all run on: 17 or 21, nothing newer.

``python3 -m stack.java`` prints its home; ``scripts/bootstrap`` calls it before anything is installed, so
this module imports the standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path

SUPPORTED = (17, 21)
PARENTS = ("/usr/lib/jvm", "/usr/java", "/opt/java", "/opt/jdk", "~/.sdkman/candidates/java", "~/.jdks")
RELEASE_VERSION = re.compile(r'^JAVA_VERSION="(?:1\.)?(\d+)', re.MULTILINE)
PRINTED_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


class JavaNotFoundError(RuntimeError):
    """No Java 17 or 21 in any of the usual places."""


def version_of(home: Path) -> int | None:
    """The major version of the Java at ``home``; None where there is none that runs.

    The ``release`` file answers without starting a JVM; a home without one is asked.
    """
    java = home / "bin" / "java"
    if not os.access(java, os.X_OK):
        return None
    release = home / "release"
    if release.is_file():
        found = RELEASE_VERSION.search(release.read_text(errors="replace"))
        if found:
            return int(found.group(1))
    try:
        answer = subprocess.run(  # noqa: S603
            [str(java), "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = PRINTED_VERSION.search(answer.stderr + answer.stdout)
    return int(found.group(1)) if found else None


def candidates(environ: Mapping[str, str], parents: Iterable[str] = PARENTS) -> Iterator[Path]:
    """Where a Java may be, best first: ``JAVA_HOME``, the PATH, the usual folders."""
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"])
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    if on_path:
        yield Path(on_path).resolve().parent.parent
    for parent in parents:
        folder = Path(parent).expanduser()
        if folder.is_dir():
            yield from sorted(child.resolve() for child in folder.iterdir() if child.is_dir())


def find_java(environ: Mapping[str, str], parents: Iterable[str] = PARENTS) -> Path:
    """The home of the first supported Java; a newer or older one in front of it is passed over."""
    seen: dict[Path, int] = {}
    for home in candidates(environ, parents):
        if home in seen:
            continue
        version = version_of(home)
        if version in SUPPORTED:
            return home
        if version is not None:
            seen[home] = version
    others = ", ".join(f"{version} in {home}" for home, version in seen.items())
    raise JavaNotFoundError(
        "Java 17 or 21 is needed and was not found"
        + (f" (only {others})" if others else "")
        + ": install it (Debian: apt-get install openjdk-17-jre-headless, or 21) or set JAVA_HOME."
    )


def export_java(environ: MutableMapping[str, str]) -> None:
    """Set ``JAVA_HOME`` for what starts a JVM below this process; without a Java it stays as it is."""
    try:
        environ["JAVA_HOME"] = str(find_java(environ))
    except JavaNotFoundError:
        return


def main() -> int:
    """Print the home, or the sentence that says what to install."""
    try:
        print(find_java(os.environ))
    except JavaNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
