"""The pages only link to files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from stack.cli import app

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\((?!https?:)([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []


def test_the_data_path_names_a_file_for_every_step() -> None:
    steps = [
        line for line in (ROOT / "docs/data-path.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)
    ]
    assert len(steps) >= 20
    assert [step for step in steps if not LINK.search(step)] == []


def test_every_command_of_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = set(re.findall(r"\bmake ([a-z-]+)", text))
    assert made
    assert made <= targets
    commands = get_command(app).commands  # type: ignore[attr-defined]
    named = set(re.findall(r"`tideline ([a-z-]+)", text))
    assert len(named) > 5
    assert named <= set(commands)


def test_no_page_has_a_gap_left_to_fill() -> None:
    assert [page.name for page in PAGES if "@@" in page.read_text()] == []
