"""Partitions of tweets and retweets: 30 days of Snowflake ids each, made when their first row comes.

The upper 41 bits of an id are milliseconds, so a range of ids is a range of time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql

WIDTH = (30 * 24 * 3600 * 1000) << 22
"""Ids per partition."""


def partition_of(snowflake_id: int) -> int:
    """The number of the partition that an id falls into."""
    return snowflake_id // WIDTH


def bounds(partition: int) -> tuple[int, int]:
    """The first id of a partition and the first after it."""
    return partition * WIDTH, min((partition + 1) * WIDTH, (1 << 63) - 1)


def name_of(table: str, partition: int) -> str:
    return f"{table}_p{partition:04d}"


def number_of(name: str) -> int:
    """The number in a partition's name."""
    return int(name.rpartition("_p")[2])


def ensure(connection: psycopg.Connection[Any], table: str, partitions: Iterable[int]) -> None:
    """Make those partitions that do not exist, in a transaction of their own each.

    They are made aside and then attached, which lets reads and writes of the table go on.
    """
    for partition in sorted(set(partitions)):
        name, (first, end) = name_of(table, partition), bounds(partition)
        with connection.transaction():
            connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(current_setting('search_path') || %s, 0))",
                (name,),
            )
            found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone()
            if found is not None and found[0]:
                continue
            parts = {
                "parent": sql.Identifier(table),
                "child": sql.Identifier(name),
                "low": sql.Literal(first),
                "high": sql.Literal(end),
            }
            for statement in (
                "CREATE TABLE {child} (LIKE {parent} INCLUDING ALL)",
                "ALTER TABLE {parent} ATTACH PARTITION {child} FOR VALUES FROM ({low}) TO ({high})",
            ):
                connection.execute(sql.SQL(statement).format(**parts))
