"""The embedded Flink mini cluster, a Kafka broker, and the write API over real stores."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis.asyncio
from confluent_kafka.admin import AdminClient
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from features.settings import FeatureSettings
from ingestion.api import app as write_api
from ingestion.api import problems
from ingestion.api.service import WriteService, build_service
from ingestion.api.settings import WriteSection, WriteSettings
from ingestion.events import Event, TweetCreated, decode
from ingestion.lake import event_folder
from ingestion.publisher import MemoryPublisher
from ingestion.settings import KafkaSettings, SecuritySettings
from ingestion.tokens import mint
from pipelines.trends import table
from pipelines.trends.board import Row
from records import outbox
from records.connections import connect, open_engine
from records.migrate import migrate
from records.settings import RecordsSettings
from stack.jars import jar_paths
from timelines import commands
from timelines.bodies import AccountCard
from timelines.home import HomeReader
from timelines.settings import RedisSettings

_namespaces = itertools.count()
Scenario = Callable[["Api"], Awaitable[None]]

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.cleaner.dedupe.buffer.size=16777216
"""


@pytest.fixture(scope="session")
def flink_environment() -> Callable[[], Any]:
    """Makes execution environments: thread mode, quick checkpoints, no restart after a failure."""
    jars = jar_paths("flink")
    if missing := [jar.name for jar in jars if not jar.is_file()]:
        pytest.skip(f"Flink's connector jars are not there: {', '.join(missing)}")
    # The interpreter inside the JVM is the first python on PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    from pyflink.common import Configuration
    from pyflink.datastream import StreamExecutionEnvironment

    def make() -> Any:
        config = Configuration()
        for key, value in {
            "pipeline.jars": ";".join(jar.as_uri() for jar in jars),
            "python.execution-mode": "thread",
            "restart-strategy.type": "none",
            "execution.checkpointing.interval": "500 ms",
        }.items():
            config.set_string(key, value)
        env = StreamExecutionEnvironment.get_execution_environment(config)
        env.set_parallelism(1)
        return env

    return make


@pytest.fixture(scope="session")
def spark() -> Any:
    """The process's Spark session, small."""
    from features.spark_session import spark_session
    from stack.java import JavaNotFoundError, find_java

    try:
        os.environ["JAVA_HOME"] = str(find_java(os.environ))
    except JavaNotFoundError as error:
        pytest.skip(str(error))
    return spark_session(FeatureSettings(spark_memory="1g", shuffle_partitions=2))


@dataclass
class Api:
    """A client of the write API, and what stands behind it; ``now`` is its clock in milliseconds."""

    app: FastAPI
    http: httpx.AsyncClient
    service: WriteService
    publisher: MemoryPublisher
    settings: WriteSettings
    engine: AsyncEngine
    now: list[int]

    async def send(
        self, method: str, path: str, user: int | None = 101, key: str | None = None, **arguments: Any
    ) -> httpx.Response:
        headers = arguments.pop("headers", {}) | ({"Idempotency-Key": key} if key else {})
        if user is not None:
            headers["Authorization"] = f"Bearer {mint(self.settings.security, user, int(time.time()))}"
        return await self.http.request(method, path, headers=headers, **arguments)

    async def post(self, text: str = "Hello", user: int = 101, key: str | None = None) -> int:
        answer = await self.send("POST", "/v1/tweets", user, key, json={"text": text})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    async def feed(self, reader: int) -> list[int]:
        home = HomeReader(self.service.redis, self.service.keys, self.settings.timelines)
        entries = (await home.read(reader)).entries
        return [int(appearance) for appearance in entries["appearance"]]

    def outbox(self) -> list[Event]:
        """What the records have for the log, oldest first."""
        with connect(self.settings.records, self.settings.namespace) as connection:
            return [decode(message.payload) for message in outbox.waiting(connection, 1000)]

    async def register(self, *users: int) -> None:
        pipe = self.service.redis.pipeline(transaction=False)
        commands.note_beginning(pipe, self.service.keys)
        commands.activate(pipe, self.service.keys, self.settings.timelines, users)
        for user in users:
            commands.put_card(pipe, self.service.keys, AccountCard(user, f"u{user}", f"U {user}", 1), 1)
        await pipe.execute()


@pytest.fixture
def run(valkey: str, postgres: str, tmp_path: Path) -> Callable[..., None]:
    """Runs a scenario against the write API with a namespace of its own."""

    @asynccontextmanager
    async def opened(writes: WriteSection, security: dict[str, Any]) -> AsyncIterator[Api]:
        settings = WriteSettings(
            home=tmp_path,
            namespace=f"api{next(_namespaces)}",
            redis=RedisSettings(url=valkey),
            records=RecordsSettings(dsn=postgres),
            writes=writes,
            security=SecuritySettings(
                private_key=tmp_path / "token.pem", public_key=tmp_path / "token.pub.pem", **security
            ),
        )
        migrate(settings.records, settings.namespace)
        engine = open_engine(settings.records, settings.namespace)
        client = redis.asyncio.Redis.from_url(valkey)
        publisher, now = MemoryPublisher(), [1_900_000_000_000]
        app = FastAPI()
        problems.install(app)
        write_api.install(app, settings)
        app.state.writes = build_service(settings, publisher, client, engine, 512, lambda: now[0])
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
            api = Api(app, http, app.state.writes, publisher, settings, engine, now)
            await api.register(101, 102)
            yield api
        await engine.dispose()
        await client.aclose()

    def runner(
        scenario: Callable[[Api], Awaitable[None]], writes: WriteSection | None = None, **security: Any
    ) -> None:
        async def whole() -> None:
            async with opened(writes or WriteSection(), security) as api:
                await scenario(api)

        asyncio.run(whole())

    return runner


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaSettings]:
    """A broker of one node with its log in a folder of its own."""
    jars = jar_paths("kafka")
    java = shutil.which("java")
    if java is None or not all(jar.is_file() for jar in jars):
        pytest.skip("Java or Kafka's jars are not there.")
    folder = Path(tempfile.mkdtemp(prefix="tideline-kafka-"))
    broker, controller = free_port(), free_port()
    settings = folder / "server.properties"
    settings.write_text(PROPERTIES.format(broker=broker, controller=controller, folder=folder))
    command = [java, "-Xmx256m", "-XX:+UseSerialGC", "-cp", ":".join(str(jar) for jar in jars)]
    form = [
        *command,
        "kafka.tools.StorageTool",
        "format",
        "-t",
        "MkU3OEVBNTcwNTJENDM2Qk",
        "-c",
        str(settings),
    ]
    subprocess.run(form, check=True, capture_output=True)
    with (folder / "broker.log").open("wb") as log:
        server = subprocess.Popen([*command, "kafka.Kafka", str(settings)], stdout=log, stderr=log)
        try:
            address = KafkaSettings(bootstrap=f"127.0.0.1:{broker}")
            # The client waits until the broker answers.
            AdminClient({"bootstrap.servers": address.bootstrap, "log_level": 2}).list_topics(timeout=60)
            yield address
        finally:
            server.kill()
            server.wait()
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class TrendsWeek:
    """Trends of 8 days up to ``end`` in ``home/trends`` and tweets in ``home/lake``."""

    home: Path
    end: datetime


@pytest.fixture(scope="session")
def trends_week(tmp_path_factory: pytest.TempPathFactory) -> TrendsWeek:
    """As the jobs write them: ``#storm`` begins in Oslo two hours before the end, reaches Rome an hour later,
    and was small a week before."""
    home, end = tmp_path_factory.mktemp("week"), datetime(2026, 1, 12, 12, tzinfo=UTC)
    end_ms, hour_ms = int(end.timestamp() * 1000), 3_600_000
    rows = []
    for back in range(8 * 24):
        for number, place in enumerate(("Oslo", "Rome", "world")):
            begun = 1 if place == "Rome" else 2
            since = end_ms - begun * hour_ms if back <= begun else None
            authors = 40 - 5 * back if since else 5
            as_of = end_ms - back * hour_ms
            for window in ("1h", "24h"):
                rows.append(Row(place, window, as_of, "#storm", 1, authors + 3, authors, 2.5, 9.0, since))
                rows.append(Row(place, window, as_of, f"#local{number}", 2, 9, 8, 6.0, 1.0, None))
    table.write(table.trends_folder(home / "lake", ""), rows)
    tweets = event_folder(home / "lake", "", TweetCreated) / f"day={end:%Y-%m-%d}"
    tweets.mkdir(parents=True)
    columns = {
        "event_id": [f"e{number}" for number in range(60)],
        "ts": [end_ms - 2 * hour_ms + 60_000 * number for number in range(60)],
        "author_id": [1 + number % 12 for number in range(60)],
        "hashtags": [["Storm"] if number % 2 else ["other"] for number in range(60)],
        "place": ["Oslo"] * 60,
    }
    pq.write_table(pa.table(columns), tweets / "part-0.parquet")
    return TrendsWeek(home, end)
