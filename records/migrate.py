"""Brings a namespace's schema to the newest version of the tables."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from records.connections import DRIVER, connect_options, schema_of
from records.settings import RecordsSettings


class RecordsUnavailableError(RuntimeError):
    """PostgreSQL does not answer, or does not let us in."""


def migrate(settings: RecordsSettings, namespace: str) -> str:
    """Make the schema if there is none, and run what is missing; processes that do so at once take turns.

    Returns:
        The version of the tables that stands now.

    Raises:
        RecordsUnavailableError: PostgreSQL does not answer.
    """
    engine = create_engine(
        make_url(settings.dsn).set(drivername=DRIVER),
        poolclass=NullPool,
        connect_args=connect_options(settings, namespace, None),
    )
    try:
        with engine.begin() as connection:
            return _upgrade(connection, schema_of(namespace))
    except OperationalError as error:
        raise RecordsUnavailableError(f"PostgreSQL does not answer: {_first_line(error)}") from error
    finally:
        engine.dispose()


def _upgrade(connection: Connection, schema: str) -> str:
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"migrate:{schema}"}
    )
    quoted = connection.dialect.identifier_preparer.quote_identifier(schema)
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quoted}"))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return str(MigrationContext.configure(connection).get_current_revision())


def _first_line(error: OperationalError) -> str:
    return str(error.orig).strip().splitlines()[0]
