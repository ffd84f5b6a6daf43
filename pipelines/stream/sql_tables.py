"""The event topics as Flink SQL tables: one table per topic, the columns of all its event types.

``type`` tells the rows apart. What is not JSON comes out as a row of nulls, and a field of the wrong type
as a null, so :func:`is_event` keeps the rows that are events of a type this build knows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pyflink.table import StreamTableEnvironment

from ingestion.events import Event
from ingestion.lake import TOPIC_EVENTS, Column, ScalarKind, columns, type_name
from ingestion.topics import Topic

_SQL_TYPES: dict[ScalarKind, str] = {
    "string": "STRING",
    "long": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
}
SCHEMA_VERSION = 1


def sql_type(column: Column) -> str:
    """The Flink SQL type of a lake column."""
    scalar = _SQL_TYPES[column.kind]
    return f"ARRAY<{scalar}>" if column.array else scalar


def topic_columns(topic: Topic) -> tuple[Column, ...]:
    """The union of the columns of the topic's event types."""
    merged = {column.name: column for event_type in TOPIC_EVENTS[topic] for column in columns(event_type)}
    return tuple(merged.values())


def create_event_table(
    t_env: StreamTableEnvironment,
    topic: Topic,
    connector: Mapping[str, str],
    *,
    used: Collection[str] | None = None,
) -> str:
    """Registers the topic as a table named after it, and returns that name.

    ``used`` leaves out all other columns but ``v``: the JSON decoder then steps over them.
    ``event_time`` of a row without a usable ``ts`` is 1970.
    """
    kept = [c for c in topic_columns(topic) if used is None or c.name in used or c.name == "v"]
    lines = ["`type` STRING", *(f"`{column.name}` {sql_type(column)}" for column in kept)]
    lines.append("event_time AS COALESCE(TO_TIMESTAMP_LTZ(ts, 3), TO_TIMESTAMP_LTZ(0, 3))")
    options = ", ".join(f"'{key}' = '{value}'" for key, value in connector.items())
    t_env.execute_sql(f"CREATE TEMPORARY TABLE `{topic.name}` ({', '.join(lines)}) WITH ({options})")
    return topic.name


def kafka_source(names: Sequence[str], bootstrap: str, group: str) -> dict[str, str]:
    """Connector options that read topics, by their names on the broker, from where ``group`` stands, or from
    their beginning.

    Consumer group and position count only for a job started without a checkpoint.
    """
    return {
        "connector": "kafka",
        "topic": ";".join(names),
        "properties.bootstrap.servers": bootstrap,
        "properties.group.id": group,
        "properties.auto.offset.reset": "earliest",
        "scan.startup.mode": "group-offsets",
        **json_format(),
    }


def json_format() -> dict[str, str]:
    """Format options: a record that is no JSON object does not stop the job."""
    return {"format": "json", "json.ignore-parse-errors": "true"}


def is_event(event_type: type[Event]) -> str:
    """The SQL condition for rows of this type and version with all their required fields."""
    required = (f"`{column.name}` IS NOT NULL" for column in columns(event_type) if column.required)
    version = f"COALESCE(v, {SCHEMA_VERSION}) = {SCHEMA_VERSION}"
    return " AND ".join((f"`type` = '{type_name(event_type)}'", version, *required))
