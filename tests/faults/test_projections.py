"""Projections rebuilt beside those that are served, while readers read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from ingestion.events import Event, TweetCreated, TweetDeleted
from ingestion.lake import event_folder
from ingestion.offsets import end_offsets
from ingestion.retention import deleted_until
from ingestion.snowflake import snowflake
from ingestion.tokens import mint
from ingestion.topics import TWEETS
from stack.projections.ledger import Ledger
from stack.verify.log import read_log
from stack.verify.verify import VerifySettings, fold_log
from timelines import commands
from timelines.entry import RETWEET, entry
from timelines.keys import KINDS
from timelines.settings import TimelineSettings

pytestmark = [pytest.mark.faults, pytest.mark.stack, pytest.mark.timeout(900)]
JOBS = ("timelines", "content")


def replay(*, wait: bool = True) -> Any:
    """`tideline replay --from beginning` of the town's projections: what it printed, or its process."""
    command = [sys.executable, "-m", "stack.cli", "replay", "--from", "beginning", *JOBS, "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    if not wait:
        return process
    printed, said = process.communicate()
    assert process.returncode == 0, said.decode()
    return json.loads(printed)


def plant_a_retweet_that_never_was(town: Any) -> None:
    """Into the timeline of a reader, by somebody the reader follows, as a faulty build would."""
    log = events(town)
    deleted = {event.tweet_id for event in log if isinstance(event, TweetDeleted)}
    tweets = [event for event in log if isinstance(event, TweetCreated) and event.tweet_id not in deleted]
    fold = fold_log(VerifySettings(), lambda *_: None)
    reader, tweet, author = next(
        (reader, tweet, author)
        for reader in fold.viewers
        for author in fold.followees(reader)
        for tweet in tweets
        if tweet.author_id not in (reader, author)
        and tweet.tweet_id not in {item.tweet_id for item in fold.feed(reader, 200)}
        and not town.store.sismember(town.keys.pulled(), author)
    )
    never = entry(snowflake(int(time.time() * 1000)), author, tweet.tweet_id, tweet.author_id, RETWEET)
    pipe = town.store.pipeline(transaction=False)
    settings = TimelineSettings(length=200, slack=60)
    commands.deliver(pipe, town.keys, settings, np.array([reader]), never)
    assert pipe.execute() == [1]


def events(town: Any) -> list[Event]:
    """Every event of the town's tweets topic."""
    return list(read_log(town.kafka, town.namespace, (TWEETS,), lambda *_: None))


@contextmanager
def a_reader(town: Any) -> Iterator[list[int]]:
    """Somebody who reads a feed all the time: the status of each answer."""
    settings, answers, done = VerifySettings(), list[int](), threading.Event()
    headers = {"Authorization": f"Bearer {mint(settings.security, 1, int(time.time()), 3600, audit=True)}"}

    def read() -> None:
        with httpx.Client(base_url=settings.api.url, headers=headers, timeout=30) as client:
            while not done.wait(0.05):
                try:
                    answers.append(client.get("/v1/feed", params={"limit": 20}).status_code)
                except httpx.TransportError:
                    answers.append(0)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


def keys_below(town: Any, prefix: str) -> list[bytes]:
    return list(town.store.scan_iter(match=f"{prefix}:*", count=1000))


def test_what_should_never_have_been_there_is_gone_after_a_replay_and_readers_are_served_meanwhile(
    town: Any,
) -> None:
    assert town.verdict().holds
    plant_a_retweet_that_never_was(town)
    assert town.verdict().extra == 1
    kept = town.keys.key("idempotency", 1, 1)
    town.store.set(kept, b"answer")

    with a_reader(town) as answers:
        outcome = replay()

    assert town.verdict().holds
    assert outcome["feeds"]["missing"] == outcome["feeds"]["extra"] == outcome["feeds"]["duplicates"] == 0
    assert town.projections.timelines == town.projections.content == outcome["projection"]
    # The API starts again in between; what it answers is never an error that a reader would not repeat.
    assert set(answers) <= {0, 200, 503}
    assert answers.count(200) > 0
    assert answers[-1] == 200
    kinds = {key.split(b":")[1].decode() for key in keys_below(town, town.namespace)}
    assert kinds.isdisjoint(KINDS["timelines"] + KINDS["content"])
    assert town.store.get(kept) == b"answer"
    assert set(town.control.active()) == {job.title for job in town.stream_jobs()}
    by_kind = {kind["kind"]: kind for kind in outcome["kinds"]}
    assert by_kind["followees"]["before"] == by_kind["followees"]["after"] > 0
    assert by_kind["tweet"]["sampled"] > 0
    assert all(kind["different"] == 0 for kind in outcome["kinds"])
    town.episode("projections replayed beside")


def test_a_replay_that_dies_leaves_what_is_served_and_the_next_one_reads_what_the_log_lost_from_the_lake(
    town: Any, eventually: Callable[..., Any]
) -> None:
    served, titles = town.projections, set(town.control.active())
    process = replay(wait=False)
    eventually(lambda: set(town.control.active()) > titles, "the new jobs run beside the old ones")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert town.projections == served
    assert town.verdict().holds
    dead = {name for _, name in Ledger(town.plan.layout).of(town.namespace).left}
    assert len(dead) == 1

    put_into_lake(town)
    forget_half_of(town)
    assert deleted_until(town.kafka, town.namespace, TWEETS) is not None
    outcome = replay()

    assert outcome["from_lake"]["tweets"] > 0
    assert all(kind["different"] == 0 for kind in outcome["kinds"])
    assert town.verdict().holds
    assert not keys_below(town, dead.pop())
    assert not keys_below(town, served.timelines)
    assert set(town.control.active()) == {job.title for job in town.stream_jobs()}
    town.episode("projections replayed past the log")


def put_into_lake(town: Any) -> None:
    """The tweets topic in the files that the job `archive` would have written."""
    settings = VerifySettings()
    days: dict[Path, list[dict[str, Any]]] = defaultdict(list)
    for event in events(town):
        day = datetime.fromtimestamp(event.ts / 1000, UTC).strftime("day=%Y-%m-%d")
        folder = event_folder(settings.lake.path, town.namespace, type(event)) / day
        days[folder].append(msgspec.structs.asdict(event))
    for folder, rows in days.items():
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / "part-0.parquet")


def forget_half_of(town: Any) -> None:
    """What retention does after 30 days: the older records of the tweets topic are deleted."""
    admin = AdminClient({"bootstrap.servers": town.kafka.bootstrap})
    ends = end_offsets(town.kafka, town.namespace, [TWEETS])
    places = [TopicPartition(*place, end // 2) for place, end in ends.items()]
    for future in admin.delete_records(places).values():
        future.result()
