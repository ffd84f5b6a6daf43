"""Streams of events from a real server process over a real Valkey."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import redis

from benchmarks.feed_world import World, seed
from ingestion.settings import SecuritySettings
from ingestion.snowflake import snowflake
from ingestion.tokens import mint
from timelines import commands, entry
from timelines.bodies import TweetBody, TweetCounts
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

pytestmark = pytest.mark.valkey

HOST, NAMESPACE = "127.0.0.1", "streams"
IDLE = 1000
QUICK = {"PROBE_MS": "50", "COUNTS_MS": "100", "WRITE_SECONDS": "2", "PER_READER": "3"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """A running ranking service and the world behind it."""

    process: subprocess.Popen[bytes]
    port: int
    home: Path
    client: Any
    world: World
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(4000)))

    keys = Keyspace(NAMESPACE, RedisSettings().partitions)
    timelines = TimelineSettings()

    def headers(self, reader: int) -> dict[str, str]:
        security = SecuritySettings(
            private_key=self.home / "token.pem", public_key=self.home / "token.pub.pem"
        )
        return {"Authorization": f"Bearer {mint(security, reader, int(time.time()))}"}

    def write(self, put: Any, *arguments: Any) -> None:
        pipe = self.client.pipeline(transaction=False)
        put(pipe, self.keys, *arguments)
        pipe.execute()

    def publish(self, author: int, reader: int, text: str = "Fresh") -> int:
        """A new tweet of a followee, as the stream jobs would put it into the store."""
        now = time.time_ns() // 1_000_000
        tweet = snowflake(now, 3, next(self.numbers))
        one = entry.entry(tweet, author, tweet, author)
        self.write(commands.put_body, TweetBody(tweet, author, text, now))
        self.write(commands.append_outbox, self.timelines, one)
        self.write(commands.deliver, self.timelines, np.array([reader]), one)
        return tweet

    def figure(self, series: str) -> float:
        lines = httpx.get(f"http://{HOST}:{self.port}/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))

    def until(self, series: str, value: float, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while self.figure(series) != value:
            assert time.monotonic() < deadline, f"{series} is {self.figure(series)}"
            time.sleep(0.05)


class Stream:
    """One open stream; ``next`` waits for its next event, of changed counts or of anything else."""

    def __init__(self, server: Server, reader: int, since: int | None = None) -> None:
        self._held = ExitStack()
        headers = server.headers(reader) | ({} if since is None else {"Last-Event-ID": str(since)})
        request = httpx.stream(
            "GET", f"http://{HOST}:{server.port}/v1/feed/stream", headers=headers, timeout=30
        )
        self.response = self._held.enter_context(request)
        self._lines = self.response.iter_lines()

    def next(self, counts: bool = False) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in self._lines:
            if not line and "event" in found:
                if (found["event"] == "counts") == counts:
                    return found
                found = {}
            name, _, value = line.partition(": ")
            found[name] = value
        return found

    def close(self) -> None:
        self._held.close()

    def __enter__(self) -> Stream:
        assert self.response.status_code == 200, self.response.read()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture(scope="module")
def started(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("streams")
    client = redis.Redis.from_url(valkey)
    now = time.time_ns() // 1_000_000
    world = seed(
        client, Server.keys, Server.timelines, now, readers=IDLE, authors=8, tweets=40, features=False
    )
    server = start(home, valkey, client, world)
    yield server
    server.process.kill()
    server.process.wait()


def start(home: Path, valkey: str, client: Any, world: World) -> Server:
    port = free_port()
    environment = os.environ | {
        "TIDELINE_HOME": str(home),
        "TIDELINE_NAMESPACE": NAMESPACE,
        "TIDELINE_REDIS__URL": valkey,
        "TIDELINE_MLFLOW__TRACKING_URI": f"http://{HOST}:1",
        "TIDELINE_KAFKA__BOOTSTRAP": f"{HOST}:1",
        "TIDELINE_SERVING__CURSOR_KEY": str(home / "cursor.key"),
        "TIDELINE_SECURITY__PRIVATE_KEY": str(home / "token.pem"),
        "TIDELINE_SECURITY__PUBLIC_KEY": str(home / "token.pub.pem"),
        **{f"TIDELINE_LIVE__{name}": value for name, value in QUICK.items()},
    }
    app = ["uvicorn", "serving.app:from_environment", "--factory", "--no-access-log", "--log-level", "error"]
    command = [sys.executable, "-m", *app, "--host", HOST, "--port", str(port)]
    with (home / f"service-{port}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"http://{HOST}:{port}/healthz")
            return Server(process, port, home, client, world)
        except httpx.TransportError:
            assert process.poll() is None, (home / f"service-{port}.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_new_tweet_and_changed_counts_come_and_a_stream_resumes_where_it_ended(started: Server) -> None:
    reader, author = started.world.readers[0], started.world.authors[-1]
    with Stream(started, reader) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        ready = stream.next()
        assert ready["event"] == "ready"
        assert int(ready["retry"]) >= 3000
        first = started.publish(author, reader)
        told = stream.next()
        assert (told["event"], int(told["id"])) == ("tweet", first)
        assert '"text":"Fresh"' in told["data"]
        started.write(commands.set_tweet_counts, first, TweetCounts(5, 0, 0, 0), 9)
        while f'"id":"{first}","counts":{{"likes":5' not in stream.next(counts=True)["data"]:
            pass
    missed = [started.publish(author, reader) for _ in range(3)]
    with Stream(started, reader, since=first) as stream:
        assert [int(stream.next()["id"]) for _ in range(4)] == [first, *missed]


def test_where_too_much_was_missed_a_hint_to_reload_comes(started: Server) -> None:
    reader, author = started.world.readers[1], started.world.authors[-1]
    last = [started.publish(author, reader) for _ in range(60)][-1]
    with Stream(started, reader, since=started.world.tweets[-1]) as stream:
        assert [stream.next()["event"] for _ in range(2)] == ["ready", "reload"]
        newest = started.publish(author, reader)
        assert newest > last
        assert int(stream.next()["id"]) == newest


def test_a_block_hides_from_the_stream_at_once(started: Server) -> None:
    reader = started.world.readers[2]
    blocked, other = started.world.authors[-1], started.world.authors[-2]
    with Stream(started, reader) as stream:
        stream.next()
        started.write(commands.set_blocked, blocked, reader, time.time_ns() // 1_000_000, True)
        started.publish(blocked, reader, "Not for you")
        seen = started.publish(other, reader, "For you")
        told = stream.next()
        assert (told["event"], int(told["id"])) == ("tweet", seen)


def test_a_stream_needs_a_token_a_well_formed_id_and_room(started: Server) -> None:
    url, reader = f"http://{HOST}:{started.port}/v1/feed/stream", started.world.readers[3]
    assert httpx.get(url).status_code == 401
    wrong = httpx.get(url, headers=started.headers(reader) | {"Last-Event-ID": "x"})
    assert (wrong.status_code, wrong.headers["content-type"]) == (422, "application/problem+json")
    with Stream(started, reader), Stream(started, reader), Stream(started, reader):
        refused = httpx.get(url, headers=started.headers(reader))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")


def test_a_client_that_does_not_read_is_dropped_while_another_goes_on(started: Server) -> None:
    reader, author = started.world.readers[4], started.world.authors[-1]
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect((HOST, started.port))
    lines = [f"{name}: {value}" for name, value in started.headers(reader).items()]
    head = "\r\n".join(["GET /v1/feed/stream HTTP/1.1", f"Host: {HOST}", *lines, "", ""])
    dropped = started.figure('tideline_streams_ended_total{reason="slow"}')
    with slow, Stream(started, reader) as quick:
        slow.sendall(head.encode())
        assert quick.next()["event"] == "ready"
        sent = 0
        while started.figure('tideline_streams_ended_total{reason="slow"}') == dropped:
            assert sent < 2000
            written = [started.publish(author, reader, "x" * 20_000) for _ in range(20)]
            sent += len(written)
            while int(quick.next().get("id", 0)) != written[-1]:
                pass
        # What was on its way is all that the client gets: then the server has closed.
        slow.settimeout(30)
        while slow.recv(1 << 16):
            pass


def test_a_thousand_idle_streams_cost_little_memory_and_time(started: Server, record_property: Any) -> None:
    process = psutil.Process(started.process.pid)
    started.until("tideline_streams_open", 0)
    ready = started.figure('tideline_stream_events_total{event="ready"}')
    before = process.memory_info().rss
    with ExitStack() as held:
        for reader in started.world.readers:
            one = held.enter_context(socket.create_connection((HOST, started.port)))
            head = f"GET /v1/feed/stream HTTP/1.1\r\nHost: {HOST}\r\n"
            head += f"Authorization: {started.headers(reader)['Authorization']}\r\n\r\n"
            one.sendall(head.encode())
        started.until("tideline_streams_open", IDLE, 60)
        started.until('tideline_stream_events_total{event="ready"}', ready + IDLE, 60)
        each = (process.memory_info().rss - before) / IDLE
        print(f"\n{IDLE} idle streams: {each / 1024:.1f} KiB each")
        record_property("bytes_per_stream", round(each))
        assert each < 100_000
    started.until("tideline_streams_open", 0)


def test_a_signal_to_end_ends_every_stream_cleanly(valkey: str, started: Server, tmp_path: Path) -> None:
    server = start(tmp_path, valkey, started.client, started.world)
    reader = started.world.readers[5]
    with Stream(server, reader) as stream:
        stream.next()
        server.process.send_signal(signal.SIGTERM)
        assert stream.next()["event"] == "end"
        assert "event" not in stream.next()
    assert server.process.wait(timeout=30) in (0, -signal.SIGTERM)
