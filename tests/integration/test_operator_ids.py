"""Every operator of every job has a fixed id, so that a savepoint fits the job after an edit."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.jobs import JOB_TOPICS
from stack.jars import jar_paths

pytestmark = pytest.mark.flink


@pytest.mark.parametrize("job", JOB_TOPICS)
def test_every_operator_has_an_id_that_building_the_job_again_repeats(
    job: str, flink_environment: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flink_environment()
    from pipelines.stream import connectors, operator_ids

    built: list[dict[str, str | None]] = []
    configuration = connectors.configuration

    def with_jars(*arguments: Any) -> Any:
        config = configuration(*arguments)
        config.set_string("pipeline.jars", ";".join(jar.as_uri() for jar in jar_paths("flink")))
        return config

    def note(env: Any, name: str | None = None) -> None:
        operator_ids.fix_ids(env)
        built.append(operator_ids.operators(env))

    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    monkeypatch.setattr(connectors, "require_topics", lambda *_: None)
    monkeypatch.setattr(connectors, "partition_count", lambda *_: 4)
    monkeypatch.setattr(connectors, "configuration", with_jars)
    monkeypatch.setattr(operator_ids.JobEnvironment, "execute", note)
    monkeypatch.setattr("pipelines.stream.timelines.note_beginning", lambda address: None)
    for _ in range(2):
        importlib.import_module(f"pipelines.stream.{job}").main()

    first, second = built
    assert [name for name, uid in first.items() if uid is None] == []
    assert len(set(first.values())) == len(first) > 2
    assert set(first.values()) == set(second.values())
