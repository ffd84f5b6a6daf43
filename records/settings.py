"""Settings of the records: where PostgreSQL is, and how much of it one process takes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RecordsSettings(BaseModel):
    """``dsn`` is any libpq URI; a namespace's tables lie in a schema of their own.

    ``connections`` of one process at most; a request waits ``wait_ms`` for one of them, and a statement of
    a request may run for ``statement_ms``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dsn: str = "postgresql://tideline@127.0.0.1:5432/postgres"
    connections: int = Field(default=6, ge=1)
    wait_ms: int = Field(default=1000, ge=1)
    statement_ms: int = Field(default=2000, ge=1)
    connect_seconds: int = Field(default=2, ge=1)
