"""Rows from the log, put into the tables by their version: whatever comes twice or late changes nothing.

A batch is copied to a staging table, then merged by one statement per table, in the order of the keys, so
that writers side by side never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from records import partitions
from records.tables import accounts, follows, likes, metadata, retweets, tweets

Row = tuple[Any, ...]
"""Values in the order of the table's columns."""

MATERIALIZED = (accounts.name, follows.name, tweets.name, retweets.name, likes.name)
_NEWER = "(excluded.ts, excluded.event_id) > (stored.ts, stored.event_id)"
_RULES = {
    # A deletion is final, and wins over whatever else is said of the tweet.
    tweets.name: (
        "deleted DESC, ts DESC, event_id DESC",
        f"NOT stored.deleted AND (excluded.deleted OR {_NEWER})",
    ),
}
_USUAL = ("ts DESC, event_id DESC", _NEWER)


@dataclass
class Materializer:
    """Writes batches through one connection after another; a failed batch leaves nothing behind.

    ``open_connection`` is called for the first batch, and again after a connection was lost.
    """

    open_connection: Callable[[], psycopg.Connection[Any]]
    _connection: psycopg.Connection[Any] | None = None
    _known: set[tuple[str, int]] = field(default_factory=set)

    def write(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Merge the rows of each table, all in one transaction.

        Raises:
            psycopg.OperationalError: PostgreSQL does not answer; the same rows may be written again.
        """
        connection = self._connected()
        filled = {table: list(given) for table, given in rows.items() if given}
        for table in (tweets.name, retweets.name):
            wanted = {partitions.partition_of(row[0]) for row in filled.get(table, ())}
            if missing := {number for number in wanted if (table, number) not in self._known}:
                partitions.ensure(connection, table, missing)
                self._known |= {(table, number) for number in missing}
        with connection.transaction(), connection.cursor() as cursor:
            for table in MATERIALIZED:
                if table in filled:
                    _merge(cursor, table, filled[table])

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = self.open_connection()
            self._connection.autocommit = True
        return self._connection


def _merge(cursor: psycopg.Cursor[Any], table: str, rows: Sequence[Row]) -> None:
    columns = [column.name for column in metadata.tables[table].columns]
    key = [column.name for column in metadata.tables[table].primary_key]
    order, newer = _RULES.get(table, _USUAL)
    names = {
        "table": sql.Identifier(table),
        "staging": sql.Identifier(f"staging_{table}"),
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
        "key": sql.SQL(", ").join(map(sql.Identifier, key)),
        "order": sql.SQL(order),
        "newer": sql.SQL(newer),
        "changes": sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns if name not in key
        ),
    }
    cursor.execute(
        sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS {staging} (LIKE {table}) ON COMMIT DELETE ROWS").format(
            **names
        )
    )
    with cursor.copy(sql.SQL("COPY {staging} ({columns}) FROM STDIN").format(**names)) as copy:
        for row in rows:
            copy.write_row(row)
    cursor.execute(
        sql.SQL(
            "INSERT INTO {table} AS stored ({columns})"
            " SELECT DISTINCT ON ({key}) {columns} FROM {staging} ORDER BY {key}, {order}"
            " ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE {newer}"
        ).format(**names)
    )
