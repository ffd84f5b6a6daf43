"""What the entry point of the stream jobs tells each job of one client."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from pipelines import submit
from pipelines.settings import StreamSettings


def test_each_job_starts_from_its_own_checkpoint_and_writes_its_own_projection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: dict[str, tuple[str, str]] = {}

    def job(module: str) -> SimpleNamespace:
        def main() -> None:
            settings, name = StreamSettings(), module.rpartition(".")[2]
            told[name] = (settings.projections.of(name), settings.flink.restore_from)

        return SimpleNamespace(main=main)

    monkeypatch.setattr(submit, "importlib", SimpleNamespace(import_module=job))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setenv("TIDELINE_PROJECTIONS__CONTENT", "town.served")
    submit.main(
        ["timelines@town.new=file:///c/chk-1", "content", "archive=file:///c/chk-2", "trends@town.new"]
    )
    assert told == {
        "timelines": ("town.new", "file:///c/chk-1"),
        "content": ("", ""),
        "archive": ("", "file:///c/chk-2"),
        "trends": ("town.new", ""),
    }


def test_a_name_that_is_no_job_is_refused() -> None:
    with pytest.raises(SystemExit, match="Name one job or more"):
        submit.main(["timelinez@town.new"])
