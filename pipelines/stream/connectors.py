"""Where stream jobs meet the outside: the environment, Kafka sources of batches, the dead-letter sink.

Python costs tens of microseconds a record and operator, so records reach Python as batches: Flink SQL,
in the JVM, collects what arrived within ``batch_ms`` by shard of the record key. A batch is exactly-once
state of the job until it is handed on, and keeps each record's topic, partition and offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pyflink.common import Configuration, TypeInformation, Types
from pyflink.common.serialization import SimpleStringSchema
from pyflink.datastream import DataStream, KeyedStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import KafkaRecordSerializationSchema, KafkaSink
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment, Table

from ingestion.topics import DEAD_LETTERS, Topic
from pipelines.jobs import job_title, owner, topic_names
from pipelines.settings import FlinkSettings, StreamSettings
from pipelines.stream.operator_ids import JobEnvironment

BATCH = Types.ROW_NAMED(
    ["shard", "topic", "values", "partitions", "offsets"],
    [
        Types.INT(),
        Types.STRING(),
        Types.OBJECT_ARRAY(Types.PRIMITIVE_ARRAY(Types.BYTE())),
        Types.OBJECT_ARRAY(Types.INT()),
        Types.OBJECT_ARRAY(Types.LONG()),
    ],
)


StateBackend = Literal["hashmap", "rocksdb"]
"""On the heap, or on disk in managed memory where the keys may outgrow any heap."""


class MissingTopicsError(RuntimeError):
    """A source on a topic that does not exist would wait for ever without a word."""


def job_name(settings: StreamSettings, job: str) -> str:
    """The name under which the cluster lists a job; also its consumer group."""
    return job_title(job, settings.namespace, settings.projections.of(job))


def names_of(settings: StreamSettings, job: str, topics: Sequence[Topic]) -> list[str]:
    """The names on the broker of these of a job's topics."""
    return topic_names(job, settings.namespace, settings.projections.of(job), topics)


def configuration(
    settings: StreamSettings, job: str, state: StateBackend = "hashmap", checkpoint_every: int = 1
) -> Configuration:
    """Thread mode, exactly-once checkpoints that outlive the job, restarts.

    ``checkpoint_every``: how many times the usual interval lies between checkpoints. One of a heap writes the
    whole of it: with as many keys as there are likes that is dear, and so is doing a little more again cheap.
    """
    flink = settings.flink
    folder = str(flink.checkpoint_dir)
    if "://" not in folder:
        folder = Path(folder).absolute().as_uri()
    whose = owner(settings.namespace, settings.projections.of(job))
    config = Configuration()
    for key, value in {
        "python.execution-mode": "thread",
        "state.backend.type": state,
        "execution.checkpointing.interval": f"{checkpoint_every * flink.checkpoint_ms} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.timeout": "10 min",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": "2",
        "execution.checkpointing.dir": f"{folder}/{whose}/{job}",
        "execution.checkpointing.tolerable-failed-checkpoints": "100",
        # Attempts are not limited: a store at its memory limit for an hour must not end a job.
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": f"{flink.restart_delay_ms} ms",
        "restart-strategy.exponential-delay.max-backoff": f"{flink.restart_delay_max_ms} ms",
        "restart-strategy.exponential-delay.backoff-multiplier": "2.0",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "1 min",
        "pipeline.max-parallelism": "128",
        # How long a record may wait for others in a network buffer, at each of the shuffles on its way.
        "execution.buffer-timeout.interval": "5 ms",
    }.items():
        config.set_string(key, value)
    if flink.restore_from:
        config.set_string("execution.state-recovery.path", flink.restore_from)
        # A checkpoint is the job's to delete once it has a newer one; a savepoint is a person's.
        claimed = flink.restore_from.rstrip("/").rpartition("/")[2].startswith("chk-")
        config.set_string("execution.state-recovery.claim-mode", "CLAIM" if claimed else "NO_CLAIM")
    return config


def environment(
    settings: StreamSettings, job: str, state: StateBackend = "hashmap", checkpoint_every: int = 1
) -> JobEnvironment:
    """The environment a job is built in; start the JVMs with the Python environment's ``bin`` first on
    PATH, or its packages are not found by the interpreter inside them."""
    made = StreamExecutionEnvironment.get_execution_environment(
        configuration(settings, job, state, checkpoint_every)
    )
    env = JobEnvironment(made._j_stream_execution_environment)
    env.set_parallelism(settings.flink.parallelism)
    return env


def require_topics(settings: StreamSettings, topics: Sequence[Topic]) -> None:
    """Raise ``MissingTopicsError`` unless the broker answers and has every topic."""
    wanted = [topic.full_name(settings.namespace) for topic in topics]
    try:
        client = AdminClient({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
        known = client.list_topics(timeout=10).topics
    except KafkaException as error:
        raise MissingTopicsError(f"Kafka does not answer at {settings.kafka.bootstrap}.") from error
    if missing := [name for name in wanted if name not in known]:
        raise MissingTopicsError(f"Create these topics before submitting the job: {', '.join(missing)}.")


def event_batches(
    env: StreamExecutionEnvironment,
    settings: StreamSettings,
    job: str,
    topics: Sequence[Topic],
    shard_by: int | None = 0,
    to_all: Sequence[Topic] = (),
    batch_ms: int | None = None,
) -> DataStream:
    """The records of ``topics`` as ``BATCH`` rows, from the committed offsets, else the beginning.

    A record's shard is the ``shard_by``-th number of its key (``a`` or ``a:b``, decimal) modulo
    ``flink.shards``, 0 where the key has no such number; with None it is the partition. Records of ``to_all``
    go to every shard. The order of one partition is kept within a shard; topics and partitions mingle.
    Offsets are committed with each checkpoint. ``batch_ms`` in place of the setting is for jobs whose readers
    do not wait.
    """
    require_topics(settings, (*topics, *to_all, DEAD_LETTERS))
    tables = StreamTableEnvironment.create(env)
    _raw_table(tables, "raw_records", settings, job, topics)
    if to_all:
        _raw_table(tables, "raw_settings", settings, job, to_all)
    return batches_of(tables, settings.flink, shard_by, batch_ms, to_all="raw_settings" if to_all else None)


def _raw_table(
    tables: StreamTableEnvironment, name: str, settings: StreamSettings, job: str, topics: Sequence[Topic]
) -> None:
    """The records of these topics, undecoded, each with the moment of its arrival."""
    names = ";".join(names_of(settings, job, topics))
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE {name} (
            record_key BYTES,
            record_value BYTES,
            `topic` STRING NOT NULL METADATA VIRTUAL,
            `partition` INT NOT NULL METADATA VIRTUAL,
            `offset` BIGINT NOT NULL METADATA VIRTUAL,
            arrival AS PROCTIME()
        ) WITH (
            'connector' = 'kafka',
            'topic' = '{names}',
            'properties.bootstrap.servers' = '{settings.kafka.bootstrap}',
            'properties.group.id' = '{job_name(settings, job)}',
            'properties.auto.offset.reset' = 'earliest',
            'scan.startup.mode' = 'group-offsets',
            'key.format' = 'raw',
            'key.fields' = 'record_key',
            'value.format' = 'raw',
            'value.fields-include' = 'EXCEPT_KEY'
        )""")


def batches_of(
    tables: StreamTableEnvironment,
    flink: FlinkSettings,
    shard_by: int | None,
    batch_ms: int | None = None,
    to_all: str | None = None,
) -> DataStream:
    """``BATCH`` rows of the table ``raw_records``: record_key, record_value, topic, partition, offset and
    arrival, a processing-time attribute. Records of ``to_all``, another such table, go to every shard.
    """
    milliseconds = flink.batch_ms if batch_ms is None else batch_ms
    shard = "`partition`"
    if shard_by is not None:
        number = f"TRY_CAST(SPLIT_INDEX(DECODE(record_key, 'UTF-8'), ':', {shard_by}) AS BIGINT)"
        shard = f"CAST(MOD(COALESCE({number}, 0), {flink.shards}) AS INT)"
    query = _batches("raw_records", shard, milliseconds)
    if to_all:
        every = f"ARRAY[{', '.join(map(str, range(flink.shards)))}]"
        query += f"""
            UNION ALL SELECT each_shard, `topic`, record_values, partitions, offsets
            FROM ({_batches(to_all, "0", milliseconds)}) CROSS JOIN UNNEST({every}) AS s(each_shard)"""  # noqa: S608
    return tables.to_data_stream(tables.sql_query(query))


def _batches(table: str, shard: str, milliseconds: int) -> str:
    """The query that collects a table's records by shard; ``shard`` is the SQL of a record's shard."""
    window = f"INTERVAL '{milliseconds / 1000:.3f}' SECOND"
    return f"""
        SELECT shard, `topic`, ARRAY_AGG(record_value) AS record_values, ARRAY_AGG(`partition`) AS partitions,
            ARRAY_AGG(`offset`) AS offsets
        FROM (
            SELECT {shard} AS shard, `topic`, record_value, `partition`, `offset`, window_start, window_end
            FROM TABLE(TUMBLE(DATA => TABLE {table}, TIMECOL => DESCRIPTOR(arrival), SIZE => {window})))
        GROUP BY shard, `topic`, window_start, window_end"""  # noqa: S608


def keyed_records(tables: StreamTableEnvironment, rows: Table, record: TypeInformation) -> KeyedStream:
    """The records of ``rows`` (an INT key and a ROW, of type ``record``), keyed without leaving the JVM.

    ``DataStream.key_by`` would take every record, with all of its arrays, through Python to ask for its key.
    """
    pairs = tables.to_append_stream(rows, Types.ROW([Types.INT(), record]))
    selector, key = get_gateway().jvm.KeyByKeySelector(), Types.ROW([Types.INT()]).get_java_type_info()
    return KeyedStream(pairs._j_data_stream.keyBy(selector, key), record, pairs)


def partition_count(settings: StreamSettings, topic: Topic) -> int:
    """How many partitions the broker has of a topic that exists."""
    client = AdminClient({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
    return len(
        client.list_topics(topic.full_name(settings.namespace), timeout=10)
        .topics[topic.full_name(settings.namespace)]
        .partitions
    )


def dead_letter_sink(stream: DataStream, settings: StreamSettings, uid: str = "dead-letters") -> Any:
    """Write a stream of JSON strings (``ingestion.dead_letters``) to the dead-letter topic."""
    serializer = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(DEAD_LETTERS.full_name(settings.namespace))
        .set_value_serialization_schema(SimpleStringSchema())
        .build()
    )
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers(settings.kafka.bootstrap)
        .set_record_serializer(serializer)
        .set_delivery_guarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .build()
    )
    return stream.sink_to(sink).name("dead letters").uid(uid)
