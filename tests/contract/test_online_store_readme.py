"""The plugin's README, run as another user of Feast would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("feast")
pytestmark = pytest.mark.valkey

README = Path(__file__).parents[2] / "features" / "README.md"


def test_the_run_through_prints_what_the_readme_says(valkey: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert [language for language, _ in blocks] == ["yaml", "python", "python", "text"]
    configuration, definitions, rank, printed = (text for _, text in blocks)
    environment = os.environ | {"REDIS_URL": valkey, "FEAST_USAGE": "False"}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "feature_store.yaml").write_text(configuration, encoding="utf-8")
    (tmp_path / "definitions.py").write_text(definitions, encoding="utf-8")
    run(str(Path(sys.executable).with_name("feast")), "apply")
    (tmp_path / "rank.py").write_text(rank, encoding="utf-8")
    assert run(sys.executable, "rank.py") == printed
