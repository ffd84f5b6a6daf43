"""Settings of the stream jobs."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ingestion.settings import Section, TidelineSettings
from records.settings import RecordsSettings
from timelines.settings import RedisSettings, TimelineSettings


class FlinkSettings(Section):
    """``checkpoint_dir`` is a folder or URI that every task manager sees.

    ``batch_ms`` is how long the source collects records into one batch, ``flush_ms`` how long deliveries
    wait for company; both add to freshness. ``shards`` is the number of key groups that batches are keyed
    by: the most that a job's parallelism can grow to, fixed for the life of its state. ``savepoint_dir``
    is where savepoints go, likewise seen by every task manager.
    ``restore_from``: the URI of the checkpoint or savepoint a job starts from; empty for none.
    ``trend_words``: words of the text trend too, not only hashtags; ``trend_languages``: each language has
    lists, as the place ``lang:xx``; ``trend_pairs`` bounds what trends remember (place, term and author).
    A job that fails starts again for as long as it takes: after ``restart_delay_ms``, then after twice that
    and so on, at most ``restart_delay_max_ms`` apart.
    """

    rest: str = "127.0.0.1:8081"
    parallelism: int = 1
    checkpoint_ms: int = 5000
    checkpoint_dir: Path = Path(".tideline/checkpoints")
    savepoint_dir: Path = Path(".tideline/savepoints")
    restore_from: str = ""
    trend_words: bool = True
    trend_languages: bool = False
    trend_pairs: int = 2_000_000
    restart_delay_ms: int = 500
    restart_delay_max_ms: int = 10_000
    batch_ms: int = 50
    flush_ms: int = 20
    shards: int = 8


class StreamSettings(TidelineSettings):
    """What a stream job reads when it is submitted."""

    redis: RedisSettings = Field(default_factory=RedisSettings)
    records: RecordsSettings = Field(default_factory=RecordsSettings)
    timelines: TimelineSettings = Field(default_factory=TimelineSettings)
    flink: FlinkSettings = Field(default_factory=FlinkSettings)
