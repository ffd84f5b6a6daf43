"""Connections to the records: an asyncio engine for requests, a plain psycopg connection for jobs."""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from records.settings import RecordsSettings

DRIVER = "postgresql+psycopg"


def schema_of(namespace: str) -> str:
    """The PostgreSQL schema that holds a namespace's tables (``""`` stands for the live one)."""
    return f"tideline_{namespace}" if namespace else "tideline"


def connect_options(settings: RecordsSettings, namespace: str, statement_ms: int | None) -> dict[str, Any]:
    """Arguments of ``psycopg.connect``: the namespace's schema and the bounds on waiting."""
    options = [f'-c search_path="{schema_of(namespace)}"', "-c timezone=UTC"]
    if statement_ms is not None:
        options += [f"-c statement_timeout={statement_ms}", f"-c lock_timeout={statement_ms}"]
    return {
        "options": " ".join(options),
        "connect_timeout": settings.connect_seconds,
        "application_name": "tideline",
        "keepalives_idle": 30,
    }


def open_engine(settings: RecordsSettings, namespace: str) -> AsyncEngine:
    """The engine of one process; it connects on first use."""
    return create_async_engine(
        make_url(settings.dsn).set(drivername=DRIVER),
        connect_args=connect_options(settings, namespace, settings.statement_ms),
        pool_size=settings.connections,
        max_overflow=0,
        pool_timeout=settings.wait_ms / 1000,
        # A connection that a restart of the server has ended is replaced, not handed out.
        pool_pre_ping=True,
    )


def connect(settings: RecordsSettings, namespace: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection without a bound on statements; a transaction is the caller's.

    Raises:
        psycopg.OperationalError: PostgreSQL does not answer.
    """
    return psycopg.connect(settings.dsn, **connect_options(settings, namespace, None))


def is_unavailable(error: BaseException) -> bool:
    """Whether PostgreSQL did not answer in time: the same request may succeed later."""
    if isinstance(error, OperationalError | PoolTimeoutError | OSError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


UNAVAILABLE: tuple[type[Exception], ...] = (SQLAlchemyError, OSError)
"""What to catch around a request's use of the engine; tell apart by :func:`is_unavailable`."""
