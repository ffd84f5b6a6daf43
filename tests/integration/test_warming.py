"""Expired timelines of readers whose usual hour begins are rebuilt before they come."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from ingestion.events import Impression
from ingestion.lake_files import write_lake
from timelines import commands
from timelines.entry import entries
from timelines.keys import Keyspace
from timelines.settings import TimelineSettings

pytestmark = [pytest.mark.spark, pytest.mark.valkey]

NAMESPACE = "warming"
HOUR_MS, DAY_MS = 3_600_000, 24 * 3_600_000
EARLY, LATE, SELDOM, PRESENT, AUTHOR = 1, 2, 3, 4, 9


def shown(lake: Path, reads: list[tuple[int, int, int]]) -> None:
    """Impressions of (reader, days ago, hour of that day), two of each, as the archive job leaves them."""
    today = int(time.time() * 1000) // DAY_MS
    write_lake(
        lake,
        [
            Impression(
                event_id=f"i{number}",
                ts=(today - ago) * DAY_MS + hour * HOUR_MS + 5,
                request_id=f"r{number}",
                user_id=reader,
                tweet_id=50,
                author_id=AUTHOR,
                position=0,
                source="following",
                rung="chronological",
            )
            for number, (reader, ago, hour) in enumerate(reads * 2)
        ],
        NAMESPACE,
    )


def test_expired_timelines_of_readers_whose_hour_begins_are_rebuilt_and_no_others(
    valkey: str, tmp_path: Path, monkeypatch: Any
) -> None:
    from stack.cli import app
    from stack.java import JavaNotFoundError, find_java

    try:
        monkeypatch.setenv("JAVA_HOME", str(find_java(os.environ)))
    except JavaNotFoundError as error:
        pytest.skip(str(error))
    for name, value in {
        "HOME": tmp_path,
        "NAMESPACE": NAMESPACE,
        "LAKE__PATH": tmp_path / "lake",
        "REDIS__URL": valkey,
        "REDIS__PARTITIONS": 4,
        "FEATURES__SPARK_MEMORY": "1g",
        "FEATURES__SHUFFLE_PARTITIONS": 2,
    }.items():
        monkeypatch.setenv(f"TIDELINE_{name}", str(value))
    monkeypatch.chdir(tmp_path)
    reads = [(reader, ago, 7) for reader in (EARLY, PRESENT) for ago in (1, 2, 3, 9)]
    reads += [(EARLY, ago, 20) for ago in (1, 2, 3)]
    reads += [(LATE, ago, 20) for ago in (1, 2, 3)] + [(LATE, 1, 7)]
    reads += [(SELDOM, ago, 7) for ago in (1, 2, 40)]
    shown(tmp_path / "lake", reads)
    keys, settings = Keyspace(NAMESPACE, 4), TimelineSettings()
    with redis.Redis.from_url(valkey) as client:
        pipe = client.pipeline(transaction=False)
        commands.append_outbox(pipe, keys, settings, entries([(50, AUTHOR, 50, AUTHOR, 0)]))
        for reader in (EARLY, LATE, SELDOM, PRESENT):
            commands.set_followee(pipe, keys, reader, AUTHOR, 1, True)
        commands.note_beginning(pipe, keys)
        commands.activate(pipe, keys, settings, [PRESENT])
        pipe.execute()

        def command() -> dict[str, Any]:
            outcome = CliRunner().invoke(app, ["warm", "--hour", "7", "--json"], catch_exceptions=False)
            answer: dict[str, Any] = json.loads(outcome.stdout.splitlines()[-1])
            return answer

        first = command()
        assert (first["usual"], first["readers"], first["rebuilt"]) == (2, 1, 1)
        there = [client.exists(keys.home(reader)) for reader in (EARLY, LATE, SELDOM, PRESENT)]
        assert there == [1, 0, 0, 1]
        # Nobody has read it: it goes soon, and its reader does not count as active.
        assert client.pttl(keys.home(EARLY)) <= 2 * HOUR_MS < client.pttl(keys.home(PRESENT))
        assert command()["rebuilt"] == 0
