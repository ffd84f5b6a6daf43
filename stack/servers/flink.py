"""Flink: a standalone session cluster from the PyFlink wheel's own scripts."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

from ingestion.whole_files import write_whole
from stack.errors import UserError
from stack.jars import jar_paths
from stack.plan import Plan
from stack.ports import LOOPBACK
from stack.readiness import http_answers, taskmanager_registered
from stack.server import Server

LOG4J = """\
monitorInterval = 0
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = ConsoleAppender
logger.pekko.name = org.apache.pekko
logger.pekko.level = WARN
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
logger.shadedkafka.name = org.apache.flink.kafka.shaded
logger.shadedkafka.level = WARN
logger.hadoop.name = org.apache.hadoop
logger.hadoop.level = WARN
logger.checkpoint.name = org.apache.flink.runtime.checkpoint
logger.checkpoint.level = WARN
appender.console.name = ConsoleAppender
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1.} - %m%n
logger.netty.name = org.jboss.netty.channel.DefaultChannelPipeline
logger.netty.level = OFF
"""
# What is left of the JobManager's and TaskManager's process sizes is their heap.
JOBMANAGER_MB = {"jvm-metaspace.size": 192, "off-heap.size": 64, "jvm-overhead.max": 96}
TASKMANAGER_MB = {
    "framework.off-heap.size": 96,
    "task.off-heap.size": 64,
    # Split evenly over the slots, then over a slot's SQL operators: a window of a job with ten of them does
    # not start with less than a few MiB ("minBucketMemorySize is not valid"). Taken only when used.
    "managed.size": 640,
    "network.max": 96,
    "jvm-metaspace.size": 320,
    "jvm-overhead.max": 192,
}


def distribution() -> Path:
    """The Flink distribution inside the PyFlink wheel."""
    spec = importlib.util.find_spec("pyflink")
    if spec is None or spec.origin is None:
        raise UserError("PyFlink is not installed: run `scripts/bootstrap`.")
    return Path(spec.origin).parent


def java_options(java: Path) -> str:
    """The wheel's own ``--add-opens`` list, without which Flink does not start on Java 17 or 21."""
    text = (distribution() / "conf" / "config.yaml").read_text()
    line = next(line for line in text.splitlines() if line.strip().startswith("all:"))
    return line.split("all:", 1)[1].strip()


def configuration(plan: Plan) -> dict[str, object]:
    """``config.yaml`` of both processes and of the client that submits jobs."""
    home = plan.layout.data("flink")
    values: dict[str, object] = {
        "env.java.home": str(plan.java),
        "env.java.opts.all": f"{java_options(plan.java)} -Djava.net.preferIPv4Stack=true "
        f"-XX:ErrorFile={plan.layout.log('java-crash-%p')}",
        "env.java.opts.client": "-Xmx384m -XX:+UseSerialGC",
        "env.java.opts.jobmanager": "-XX:+UseSerialGC",
        "env.java.opts.taskmanager": "-XX:+UseG1GC -XX:G1PeriodicGCInterval=30000",
        "jobmanager.rpc.address": LOOPBACK,
        "jobmanager.rpc.port": plan.ports["flink_rpc"],
        "jobmanager.bind-host": LOOPBACK,
        "jobmanager.memory.process.size": f"{plan.stack.jobmanager_mb}m",
        "jobmanager.execution.failover-strategy": "region",
        "rest.address": LOOPBACK,
        "rest.bind-address": LOOPBACK,
        "rest.port": plan.ports["flink"],
        # A client that brings jobs back is started beside the JobManager and waits for it.
        "rest.retry.max-attempts": 120,
        "rest.retry.delay": "500 ms",
        "web.submit.enable": False,
        "web.log.path": str(plan.layout.log("jobmanager")),
        "taskmanager.log.path": str(plan.layout.log("taskmanager")),
        "taskmanager.host": LOOPBACK,
        "taskmanager.bind-host": LOOPBACK,
        # A fixed id lets the JobManager replace a killed TaskManager when its successor registers.
        "taskmanager.resource-id": "taskmanager",
        "taskmanager.numberOfTaskSlots": plan.stack.slots,
        "taskmanager.memory.process.size": f"{plan.stack.taskmanager_mb}m",
        # A TaskManager out of heap limps; one that ends is started again with its jobs.
        "taskmanager.jvm-exit-on-oom": True,
        "parallelism.default": 1,
        # The JobManager notices a killed TaskManager by refused heartbeats (two in a row). A TaskManager only
        # waits for those of the JobManager: it goes to the next one after the timeout, and so soon are jobs
        # back. Busy cores must not look like a process that hangs: at 8 s they did.
        "heartbeat.interval": "2 s",
        "heartbeat.rpc-failure-threshold": 2,
        "heartbeat.timeout": "15 s",
        # What waits in a backlog is asked for to know that a replay has settled.
        "metrics.fetcher.update-interval": "1 s",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "500 ms",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "state.backend.type": "hashmap",
        "execution.checkpointing.dir": (home / "checkpoints").as_uri(),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": 2,
        "classloader.parent-first-patterns.additional": "pemja.;org.apache.flink.python.",
        "classloader.check-leaked-classloader": False,
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "io.tmp.dirs": str(home / "tmp"),
    }
    values |= {f"jobmanager.memory.{name}": f"{mb}m" for name, mb in JOBMANAGER_MB.items()}
    values |= {f"taskmanager.memory.{name}": f"{mb}m" for name, mb in TASKMANAGER_MB.items()}
    values["jobmanager.memory.jvm-overhead.min"] = f"{JOBMANAGER_MB['jvm-overhead.max']}m"
    values["taskmanager.memory.jvm-overhead.min"] = f"{TASKMANAGER_MB['jvm-overhead.max']}m"
    values["taskmanager.memory.network.min"] = f"{TASKMANAGER_MB['network.max']}m"
    return values


def environment(plan: Plan) -> dict[str, str]:
    """What the scripts read: our configuration, a class path of links, no files in the wheel's folder."""
    home = plan.layout.data("flink")
    return {
        "FLINK_CONF_DIR": str(home / "conf"),
        "FLINK_LIB_DIR": str(home / "lib"),
        "FLINK_LOG_DIR": str(plan.layout.logs),
        "FLINK_PID_DIR": str(plan.layout.run),
        "JAVA_HOME": str(plan.java),
        # The interpreter inside the TaskManager finds its packages by the python that is first on PATH.
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        # The scripts put what HADOOP_CLASSPATH and friends name on the class path.
        "HADOOP_CLASSPATH": "",
        "HADOOP_CONF_DIR": "",
        "MALLOC_ARENA_MAX": "2",
    }


def prepare(plan: Plan) -> None:
    """Write ``conf`` and link ``lib``: the distribution's jars, PyFlink's, and the connectors'."""
    home = plan.layout.data("flink")
    conf, lib = home / "conf", home / "lib"
    for folder in (conf, lib, home / "tmp", home / "checkpoints"):
        folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name}: {json.dumps(value)}\n" for name, value in configuration(plan).items()]
    write_whole(conf / "config.yaml", "".join(lines))
    for name in ("log4j-console.properties", "log4j-cli.properties", "log4j-session.properties"):
        write_whole(conf / name, LOG4J)
    wanted = {path.name: path for path in (distribution() / "lib").glob("*.jar")}
    wanted |= {path.name: path for path in (distribution() / "opt").glob("flink-python-*.jar")}
    wanted |= {path.name: path for path in jar_paths("flink", plan.jars)}
    for link in lib.iterdir():
        if link.name not in wanted or link.resolve() != wanted[link.name].resolve():
            link.unlink()
    for name, target in wanted.items():
        if not (lib / name).is_symlink():
            (lib / name).symlink_to(target)


def servers(plan: Plan, resume: tuple[str, ...]) -> tuple[Server, Server]:
    """JobManager and TaskManager; ``resume`` gives a restarted JobManager its jobs back."""
    rest = plan.address("flink")
    scripts = distribution() / "bin"
    prepare_once = lambda: prepare(plan)  # noqa: E731
    return (
        Server(
            name="jobmanager",
            command=("bash", str(scripts / "jobmanager.sh"), "start-foreground"),
            address=rest,
            ready=http_answers(f"{rest}/overview"),
            env=environment(plan),
            prepare=prepare_once,
            recover=resume,
        ),
        Server(
            name="taskmanager",
            command=("bash", str(scripts / "taskmanager.sh"), "start-foreground"),
            address=rest,
            ready=taskmanager_registered(rest, plan.stack.slots),
            env=environment(plan),
            prepare=prepare_once,
        ),
    )
