"""Settings of the streams of server-sent events."""

from __future__ import annotations

from pydantic import Field

from ingestion.settings import Section


class LiveSection(Section):
    """``connections`` are those of one worker process, ``per_reader`` those of one reader in it.

    A connection holds at most ``queue_bytes`` that are not sent; one that takes longer than
    ``write_seconds`` for a write, or has no room left, is dropped. At most ``catch_up`` tweets are sent at
    once: where more are new, a hint to load the feed anew. ``watched``: of how many of the newest tweets
    changed counts are sent. ``probe_ms`` and ``counts_ms``: pauses between two looks at the store.
    ``longest_seconds``: then a connection ends, and the client comes again with a token that is valid.
    """

    connections: int = Field(default=5000, ge=1)
    per_reader: int = Field(default=5, ge=1)
    queue_bytes: int = Field(default=1 << 17, ge=1)
    catch_up: int = Field(default=50, ge=1, le=800)
    watched: int = Field(default=20, ge=0, le=800)
    probe_ms: int = Field(default=500, ge=1)
    counts_ms: int = Field(default=2000, ge=1)
    keep_alive_seconds: float = Field(default=15.0, gt=0)
    write_seconds: float = Field(default=10.0, gt=0)
    retry_ms: int = Field(default=3000, ge=1)
    longest_seconds: float = Field(default=900.0, gt=0)
