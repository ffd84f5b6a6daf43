"""The outbox: messages written in the transaction of what they tell, read once each by one relay.

The columns are those of Debezium's outbox event router, which can take the relay's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row
from sqlalchemy.ext.asyncio import AsyncConnection

RELAY_LOCK = 0x7E11
"""Class of the advisory lock that the active relay of a schema holds for as long as its session lives."""


@dataclass(frozen=True)
class Message:
    """``aggregateid`` is the record key on the log: messages of one key are published in order.

    ``payload`` is JSON text; ``timestamp`` the event time in milliseconds UTC.
    """

    id: str
    aggregatetype: str
    aggregateid: str
    type: str
    payload: bytes
    timestamp: int


@dataclass(frozen=True)
class Waiting:
    """A message that the log has not acknowledged yet, in the order in which they were written."""

    position: int
    aggregateid: str
    payload: bytes


async def add(connection: AsyncConnection, messages: Sequence[Message]) -> None:
    """Write messages as a part of the open transaction.

    The order of a key's messages is kept if its writers exclude each other until they commit.
    """
    rows = [
        {
            "id": message.id,
            "aggregatetype": message.aggregatetype,
            "aggregateid": message.aggregateid,
            "type": message.type,
            "payload": message.payload.decode(),
            "timestamp": message.timestamp,
        }
        for message in messages
    ]
    await connection.exec_driver_sql(
        "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, timestamp) VALUES "
        "(%(id)s, %(aggregatetype)s, %(aggregateid)s, %(type)s, %(payload)s::jsonb, %(timestamp)s)",
        rows,
    )


def try_to_lead(connection: psycopg.Connection[Any]) -> bool:
    """Whether this session is the one relay of its schema from now on, until it ends."""
    row = connection.execute(
        "SELECT pg_try_advisory_lock(%s, hashtext(current_setting('search_path')))", (RELAY_LOCK,)
    ).fetchone()
    return row is not None and bool(row[0])


def waiting(connection: psycopg.Connection[Any], limit: int) -> list[Waiting]:
    """The oldest messages, at most ``limit``."""
    with connection.cursor(row_factory=class_row(Waiting)) as cursor:
        cursor.execute(
            "SELECT position, aggregateid, convert_to(payload::text, 'UTF8') AS payload"
            " FROM outbox ORDER BY position LIMIT %s",
            (limit,),
        )
        return cursor.fetchall()


def remove(connection: psycopg.Connection[Any], positions: Sequence[int]) -> None:
    """Forget messages that the log has acknowledged."""
    connection.execute("DELETE FROM outbox WHERE position = ANY(%s)", (list(positions),))
