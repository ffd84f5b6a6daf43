"""The TaskManager is killed in the middle of a replay; every feed is still what a fold of the log says."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from confluent_kafka import Consumer, Producer, TopicPartition

from ingestion.events import Event, FanOutChanged, FollowChanged, RetweetChanged, TweetCreated
from ingestion.publisher import KafkaPublisher
from ingestion.settings import KafkaSettings
from ingestion.topics import DEAD_LETTERS, TWEETS
from pipelines.jobs import job_title, topic_names
from pipelines.stream.tiers import STAYS_PULLED
from stack import lifecycle
from stack.bring_up import bring_up
from stack.jobs import JobControl, stream_jobs
from stack.lag import lag_of
from stack.plan import Plan
from stack.readiness import get_json
from stack.settings import Ports, StackSection, StackSettings
from stack.waiting_entries import entries_waiting
from timelines.home import HomeReader
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

NAMESPACE = "killed"
PUSH_BELOW, PULL_ABOVE = 40, 60
USERS = range(1, 151)
LENGTH = TimelineSettings().length


def history(seed: int) -> list[Event]:
    """Follows, some taken back, then a long run of tweets and retweets; some authors cross the threshold."""
    chance = random.Random(seed)
    events: list[Event] = []
    for number in range(6_000):
        followee = min(USERS[-1], int(chance.paretovariate(0.6)))
        events.append(
            FollowChanged(
                event_id=f"f{number}",
                ts=number,
                follower_id=chance.choice(USERS),
                followee_id=followee,
                active=chance.random() > 0.1,
            )
        )
    for number in range(10_000, 50_000):
        author = chance.choice(USERS)
        if chance.random() < 0.3:
            original = chance.choice(USERS)
            active = chance.random() > 0.05
            for state in (True,) if active else (True, False):
                events.append(
                    RetweetChanged(
                        event_id=f"r{number}{state}",
                        ts=number,
                        retweet_id=number,
                        user_id=author,
                        tweet_id=original,
                        author_id=original,
                        active=state,
                    )
                )
        else:
            events.append(
                TweetCreated(event_id=f"t{number}", ts=number, tweet_id=number, author_id=author, text=None)
            )
    return events


def fold(events: list[Event]) -> dict[int, list[int]]:
    """Each reader's newest appearances, less what was taken back, newest first."""
    edges: dict[tuple[int, int], FollowChanged] = {}
    made: dict[int, list[int]] = {user: [] for user in USERS}
    withdrawn = set()
    for event in events:
        match event:
            case FollowChanged():
                edges[event.follower_id, event.followee_id] = event
            case TweetCreated():
                made[event.author_id].append(event.tweet_id)
            case RetweetChanged():
                if event.active:
                    made[event.user_id].append(event.retweet_id)
                else:
                    withdrawn.add(event.retweet_id)
    feeds = {}
    for reader in USERS:
        authors = {followee for (who, followee), edge in edges.items() if who == reader and edge.active}
        appearances = (appearance for author in authors | {reader} for appearance in made[author])
        newest = sorted(appearances, reverse=True)[:LENGTH]
        feeds[reader] = [appearance for appearance in newest if appearance not in withdrawn]
    return feeds


def until(condition: Callable[[], Any], what: str, patience: float = 180.0) -> Any:
    """What the condition answers once it holds."""
    deadline = time.monotonic() + patience
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"After {patience:.0f} s still not: {what}.")
        time.sleep(0.1)
    return answer


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plan]:
    """Kafka, Valkey and Flink on free ports, with folders of their own."""
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    settings = StackSettings(
        home=tmp_path, stack=StackSection(ports=Ports(kafka=0, valkey=0, flink=0), slots=4)
    )
    servers = ("kafka", "valkey", "flink")
    try:
        yield bring_up(settings, NAMESPACE, servers, (), False, lambda line: None, PUSH_BELOW, PULL_ABOVE)
    finally:
        lifecycle.stop(lifecycle.layout_of(settings), 10)


class Cluster:
    """The one job under test, as the cluster's REST interface and its consumer group show it."""

    def __init__(self, plan: Plan) -> None:
        self._rest = plan.address("flink")
        self._kafka = KafkaSettings(bootstrap=f"127.0.0.1:{plan.ports['kafka']}")

    def job(self) -> dict[str, Any]:
        jobs: list[dict[str, Any]] = get_json(f"{self._rest}/jobs/overview", timeout=10)["jobs"]
        return jobs[0]

    def checkpoints(self) -> dict[str, int]:
        counts: dict[str, int] = get_json(f"{self._rest}/jobs/{self.job()['jid']}/checkpoints", timeout=10)[
            "counts"
        ]
        return counts

    def lag(self) -> int:
        read = {job_title("timelines", NAMESPACE): topic_names("timelines", NAMESPACE)}
        return lag_of(self._kafka, read).total

    def await_all_written(self) -> None:
        """No lag, nothing throttled, and a checkpoint more, which passes behind everything that was read."""
        until(lambda: self.lag() == 0, "the job has read the whole log")
        self.await_checkpoints(2)
        until(lambda: entries_waiting(self._rest, f"{NAMESPACE}-timelines") == 0, "nothing waits")
        self.await_checkpoints(2)

    def await_checkpoints(self, number: int) -> None:
        done = self.checkpoints()["completed"]
        until(lambda: self.checkpoints()["completed"] >= done + number, f"{number} more checkpoints")


def feeds(plan: Plan) -> dict[int, list[int]]:
    """Each reader's chronological feed out of the store."""
    settings = TimelineSettings(push_below=PUSH_BELOW, pull_above=PULL_ABOVE)
    keys = Keyspace(NAMESPACE, RedisSettings().partitions)

    async def read() -> dict[int, list[int]]:
        async with redis.asyncio.Redis(host="127.0.0.1", port=plan.ports["valkey"]) as client:
            reader = HomeReader(client, keys, settings)
            return {user: (await reader.read(user)).entries["appearance"].tolist() for user in USERS}

    return asyncio.run(read())


def thresholds(number: int, push_below: int, pull_above: int) -> FanOutChanged:
    return FanOutChanged(
        event_id=f"s{number}",
        ts=number,
        push_below=push_below,
        pull_above=pull_above,
        throttled_per_second=100_000,
    )


def pulled_authors(store: redis.Redis, keys: Keyspace) -> set[int]:
    return {int(author) for author in store.smembers(keys.pulled())}


def authors_followed_by(followers: float, events: list[Event]) -> set[int]:
    """The authors who have so many followers or more in the end."""
    edges = {(e.followee_id, e.follower_id): e.active for e in events if isinstance(e, FollowChanged)}
    counts = Counter(followee for (followee, _), active in edges.items() if active)
    return {author for author, count in counts.items() if count >= followers}


def put_rubbish(plan: Plan, partition: int) -> int:
    """Write a record that is no event; returns its offset."""
    offsets: list[int] = []
    producer = Producer({"bootstrap.servers": f"127.0.0.1:{plan.ports['kafka']}"})
    producer.produce(
        TWEETS.full_name(NAMESPACE),
        b'{"rubbish',
        b"5",
        partition=partition,
        on_delivery=lambda _, message: offsets.append(message.offset()),
    )
    producer.flush()
    return offsets[0]


def dead_letters(plan: Plan) -> list[dict[str, Any]]:
    """What is on the dead-letter topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": f"127.0.0.1:{plan.ports['kafka']}",
            "group.id": "reader",
            "enable.auto.commit": False,
        }
    )
    try:
        consumer.assign([TopicPartition(DEAD_LETTERS.full_name(NAMESPACE), 0, 0)])
        messages = consumer.consume(10, timeout=5)
        return [json.loads(message.value()) for message in messages]
    finally:
        consumer.close()


def test_feeds_are_exact_after_the_task_manager_was_killed_and_rubbish_was_set_aside(plan: Plan) -> None:
    events = history(seed=7)
    middle = len(events) // 2
    store = redis.Redis(host="127.0.0.1", port=plan.ports["valkey"])
    keys = Keyspace(NAMESPACE, RedisSettings().partitions)
    publisher = KafkaPublisher(
        KafkaSettings(bootstrap=f"127.0.0.1:{plan.ports['kafka']}"), NAMESPACE, patience_s=60
    )
    JobControl(plan).submit(stream_jobs(NAMESPACE, ["timelines"]))
    cluster = Cluster(plan)
    until(lambda: cluster.checkpoints()["completed"], "a first checkpoint")

    for event in events[:middle]:
        publisher.publish(event)
    publisher.flush()
    offset = put_rubbish(plan, partition=2)
    cluster.await_all_written()
    publisher.publish(thresholds(1, push_below=20, pull_above=30))
    written = store.getrange(keys.outbox(USERS[0]), 0, 31)
    for event in events[middle:]:
        publisher.publish(event)
    until(lambda: store.getrange(keys.outbox(USERS[0]), 0, 31) != written, "the second half begins to arrive")
    state = lifecycle.running(plan.layout)
    assert state is not None
    victim = next(server.process for server in state.servers if server.name == "taskmanager")
    assert victim is not None
    os.kill(victim.pid, signal.SIGKILL)
    until(lambda: cluster.checkpoints()["restored"], "the job is restored from its checkpoint")
    cluster.await_all_written()
    assert pulled_authors(store, keys) == authors_followed_by(30, events)
    publisher.publish(thresholds(2, push_below=100, pull_above=100))
    publisher.close()
    until(lambda: cluster.job()["state"] == "RUNNING", "the job runs again")
    cluster.await_all_written()
    (letter,) = dead_letters(plan)
    assert letter == {
        "reason": "Input data was truncated",
        "topic": f"{NAMESPACE}.tweets",
        "partition": 2,
        "offset": offset,
        "value": "eyJydWJiaXNo",
    }
    expected = fold(events)
    assert feeds(plan) == expected
    assert pulled_authors(store, keys) == authors_followed_by(100 * STAYS_PULLED, events)
    assert sum(len(feed) >= LENGTH * 0.9 for feed in expected.values()) > len(USERS) / 5
