"""Kafka: one KRaft node, broker and controller in one JVM."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path

from stack.errors import UserError
from stack.jars import jar_paths
from stack.plan import Plan
from stack.ports import LOOPBACK
from stack.readiness import kafka_answers
from stack.server import Server

LOG4J = """\
status = ERROR
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
"""


def properties(plan: Plan, data: Path) -> str:
    """``server.properties`` of a single node; how long records are kept is each topic's own setting."""
    broker, controller = plan.ports["kafka"], plan.ports["kafka_controller"]
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{broker},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data / "log",
        "auto.create.topics.enable": "false",
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _java(plan: Plan, heap_mb: int, main: str, *arguments: str) -> tuple[str, ...]:
    return (
        str(plan.java / "bin" / "java"),
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:MaxMetaspaceSize=160m",
        "-Djava.awt.headless=true",
        "-Dlog4j2.configurationFile=" + str(plan.layout.data("kafka") / "log4j2.properties"),
        "-cp",
        ":".join(str(path) for path in jar_paths("kafka", plan.jars)),
        main,
        *arguments,
    )


def _prepare(plan: Plan, data: Path) -> None:
    """Write the configuration, and format the log's folder the first time."""
    data.mkdir(parents=True, exist_ok=True)
    (data / "log4j2.properties").write_text(LOG4J)
    (data / "server.properties").write_text(properties(plan, data))
    if (data / "log" / "meta.properties").exists():
        return
    # The tool takes an id that starts with a dash for an option.
    cluster = "T" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
    command = _java(
        plan, 128, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(data / "server.properties")
    )
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if outcome.returncode != 0:
        last = (outcome.stderr or outcome.stdout).strip().splitlines()
        raise UserError(f"Kafka's storage could not be formatted: {last[-1] if last else 'no message'}")


def server(plan: Plan) -> Server:
    """The broker; its address is what clients bootstrap from."""
    data = plan.layout.data("kafka")
    return Server(
        name="kafka",
        command=_java(plan, plan.stack.kafka_heap_mb, "kafka.Kafka", str(data / "server.properties")),
        address=f"{LOOPBACK}:{plan.ports['kafka']}",
        ready=kafka_answers(plan.ports["kafka"]),
        prepare=lambda: _prepare(plan, data),
    )
