"""What one worker process of the ranking service holds open, and its state of readiness."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from redis.exceptions import RedisError

from ingestion.publisher import KafkaPublisher, LogUnavailableError
from ingestion.signatures import load_keys
from records.connections import open_engine
from serving.archive import Archive
from serving.breaker import Breaker
from serving.experiments.shadows import Shadows
from serving.feed.cursor import CursorSigner, load_key
from serving.feed.feed import OPERATIONAL, Clock, Feed, FeedLimits, Models
from serving.feed.ladder import Load
from serving.feed.pipelines import Stores
from serving.feed.shared import shared
from serving.feed.side_effects import Impressions
from serving.feed.snapshot import Snapshots
from serving.lists import ListPages
from serving.metrics import ServingMetrics
from serving.model_store import MlflowRegistry, ModelStore
from serving.pipeline.runner import Runner
from serving.reads import Reads
from serving.redis_client import open_redis
from serving.settings import ServingSettings
from serving.shapes import Readiness
from timelines import functions
from timelines.home import HomeReader, StoreEmptiedError
from timelines.keys import Keyspace

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """The parts that routes use."""

    feed: Feed
    reads: Reads
    lists: ListPages
    models: ModelStore
    metrics: ServingMetrics
    impressions: Impressions
    breakers: Sequence[Breaker]
    dev_login: bool
    service_keys: dict[str, bytes] = field(default_factory=dict, repr=False)
    challengers: Mapping[str, ModelStore] = field(default_factory=dict)

    def seconds(self) -> float:
        return self.feed.runner.clock()

    async def readiness(self) -> Readiness:
        """Without the store the records answer, without both nothing; without a model it is chronological."""
        dependencies = {"redis": "ok", "model": self.models.problem or "ok"}
        for alias, models in self.challengers.items():
            dependencies[f"model:{alias}"] = models.problem or "ok"
        try:
            if not await self.reads.redis.exists(self.reads.keys.begun()):
                dependencies["redis"] = str(StoreEmptiedError())
        except (RedisError, OSError) as error:
            dependencies["redis"] = str(error) or type(error).__name__
        dependencies["records"] = await self.lists.archive.problem() or "ok"
        dependencies["kafka"] = self.impressions.problem or "ok"
        model = self.models.current
        status: Literal["ready", "degraded", "unavailable"] = "ready"
        if dependencies["redis"] != "ok" and dependencies["records"] != "ok":
            status = "unavailable"
        elif any(state != "ok" for state in dependencies.values()):
            status = "degraded"
        return {
            "status": status,
            "model": None if model is None else model.version,
            "dependencies": dependencies,
            "breakers": {breaker.dependency: breaker.state for breaker in self.breakers},
        }


def build_feed(
    settings: ServingSettings,
    redis: Any,
    models: Models,
    impressions: Impressions,
    clock: Clock,
    metrics: ServingMetrics,
    archive: Archive | None = None,
    challengers: Mapping[str, Models] | None = None,
) -> Feed:
    """The feed over an asyncio redis-py client that does not decode, or its in-memory twin.

    ``challengers``: the models of the experiment's aliases.
    """
    section = settings.serving
    challengers = challengers or {}
    assignment = section.load_assignment()
    shadows = None
    if assignment is not None and assignment.experiment.shadows:
        shadows = Shadows(
            assignment.experiment.shadows,
            challengers,
            lambda name, outcome: metrics.shadows.labels(name, outcome).inc(),
            lambda name, share: metrics.shadow_agreement.labels(name).observe(share),
        )
    keys = Keyspace.of(settings)
    same_for_many = shared(Reads(redis, keys, archive), clock.seconds, metrics.count_lookups)
    return Feed(
        Stores(redis, keys, HomeReader(redis, keys, settings.timelines), archive, same_for_many),
        models,
        Runner(clock.seconds, OPERATIONAL, lambda name, _: metrics.side_effect_errors.labels(name).inc()),
        Snapshots(redis, keys, section.snapshot_seconds),
        CursorSigner(load_key(section.cursor_key)),
        impressions,
        FeedLimits(section.deadline_ms / 1000, section.ladder()),
        clock,
        lambda view, count: metrics.missing_features.labels(view).inc(count),
        section.load_policy(),
        Load(section.at_once),
        assignment,
        challengers,
        shadows,
    )


@asynccontextmanager
async def open_service(settings: ServingSettings, metrics: ServingMetrics) -> AsyncIterator[Service]:
    """Opens the clients and starts following the model; closes them again.

    Redis, Kafka and the registry may be away: the service starts and says so in its readiness.
    """
    section = settings.serving
    redis = open_redis(settings, metrics.breakers)
    try:
        await functions.load_async(redis)
    except (RedisError, OSError) as error:
        logger.warning("The timeline store's functions could not be loaded: %s", error)
    publisher = KafkaPublisher(settings.kafka, settings.namespace)
    folder = settings.home / "serving" / "model" / (settings.namespace or "live")
    models = ModelStore(MlflowRegistry(settings.mlflow), folder, section.model_poll_seconds)
    assignment = section.load_assignment()
    aliases = frozenset() if assignment is None else assignment.aliases - {settings.mlflow.alias}
    challengers = ModelStore.of_aliases(aliases, settings.mlflow, folder, section.model_poll_seconds)
    impressions = Impressions(
        publisher,
        metrics.impressions.inc,
        metrics.impressions_dropped.inc,
        (LogUnavailableError,),
        section.feature_log_share,
    )
    clock = Clock(lambda: time.time_ns() // 1_000_000, lambda: secrets.token_hex(16), time.perf_counter)
    engine = open_engine(settings.records, settings.namespace)
    archive = Archive.of(
        engine,
        settings.records.connections,
        section.records_ms / 1000,
        section.records_breaker,
        metrics.breakers,
    )
    feed = build_feed(settings, redis, models, impressions, clock, metrics, archive, challengers)
    lists = ListPages(feed.stores.reads, archive, feed.signer)
    stores = (models, *challengers.values())
    for store in stores:
        store.start()
    # What was made until here lives as long as the process: collections need not go through it again.
    gc.freeze()
    try:
        security = settings.security
        breakers = (redis.breaker, archive.breaker)
        reads, keys = feed.stores.reads, load_keys(security.service_keys)
        yield Service(
            feed, reads, lists, models, metrics, impressions, breakers, security.dev_login, keys, challengers
        )
    finally:
        for store in stores:
            store.stop()
        await feed.runner.drain()
        with contextlib.suppress(LogUnavailableError):
            await asyncio.to_thread(publisher.close)
        await engine.dispose()
        await redis.aclose()
