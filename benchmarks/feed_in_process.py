"""The feed in this process over a seeded Valkey, and its floor: the bare round trips and predictions."""

from __future__ import annotations

import asyncio
import gc
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.feed_model import write_model
from benchmarks.feed_world import World, seed
from benchmarks.harness import BenchmarkRefusedError, Figures
from benchmarks.round_trips import Recorder, Trip, replay
from benchmarks.store import open_store, running_store
from ingestion.publisher import LogUnavailableError
from serving.api.dependencies import json_response
from serving.api.feed import page_shape
from serving.feed.feed import Clock, Feed, Request
from serving.feed.query import Algorithm
from serving.feed.side_effects import Impressions
from serving.metrics import ServingMetrics
from serving.model_store import Model
from serving.service import build_feed
from serving.settings import ServingSection, ServingSettings
from timelines.client import open_async_client
from timelines.keys import Keyspace
from timelines.settings import RedisSettings
from training.bundle import Bundle, Scores

READS = 200
WARM = 20
LIMIT = 50
CPU = {"ratio_cpu": ("cpu_ms", "cpu_ms")}


@dataclass
class Given:
    """A model that is there."""

    current: Model | None


class Discarded:
    """A log that takes everything at once and keeps nothing."""

    def hand_over(self, event: object, delivered: Callable[[Exception | None], None]) -> None:
        delivered(None)


@dataclass
class Predictions:
    """A bundle that notes what it is asked to score."""

    bundle: Bundle
    light: list[NDArray[np.float32]] = field(default_factory=list)
    heads: list[NDArray[np.float32]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bundle, name)

    def light_score(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        self.light.append(matrix)
        return self.bundle.light_score(matrix)

    def score(self, matrix: NDArray[np.float32]) -> Scores:
        self.heads.append(matrix)
        return self.bundle.score(matrix)


@dataclass
class Samples:
    """Seconds on the clock and of this process's processor, one after the other."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @contextmanager
    def one(self) -> Iterator[None]:
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)

    def figures(self) -> dict[str, float]:
        """Without the first ``WARM``; ``cpu_ms`` hardly feels what else the machine does."""
        p50, p99 = np.percentile(np.array(self.wall[WARM:]) * 1000, [50, 99])
        cpu = float(np.median(self.cpu[WARM:]) * 1000)
        return {"p50_ms": float(p50), "p99_ms": float(p99), "p99_to_p50": float(p99 / p50), "cpu_ms": cpu}


@dataclass(frozen=True)
class FeedHere:
    """Pages of one algorithm, ``LIMIT`` items each, and what they would cost at least."""

    address: RedisSettings
    settings: ServingSettings
    world: World
    bundle: Bundle
    algorithm: Algorithm
    rung: str

    def pages(self) -> Figures:
        """From request to bytes of JSON; what follows the answer is left out."""

        async def run() -> Figures:
            client = open_async_client(self.address, timeout_s=30)
            try:
                feed = self._feed(client, self.bundle)
                samples = Samples()
                for reader in self._readers():
                    with samples.one():
                        await self._page(feed, reader)
                    await feed.runner.drain()
                return samples.figures()
            finally:
                await client.aclose()

        return asyncio.run(run())

    def floor(self) -> Figures:
        """The same commands sent and the same matrices predicted, one after the other, nothing else."""

        async def run() -> Figures:
            client = open_async_client(self.address, timeout_s=30)
            try:
                asked = {reader: await self._record(client, reader) for reader in self.world.readers}
                samples, predicting = Samples(), Samples()
                for reader in self._readers():
                    trips, predictions = asked[reader]
                    with samples.one():
                        await replay(client, trips)
                        with predicting.one():
                            _predict(predictions)
                predict_ms = predicting.figures()["p50_ms"]
                return {**samples.figures(), "predict_ms": predict_ms, "round_trips": float(len(trips))}
            finally:
                await client.aclose()

        return asyncio.run(run())

    def _readers(self) -> Iterator[int]:
        return itertools.islice(itertools.cycle(self.world.readers), WARM + READS)

    def _feed(self, client: Any, bundle: Any) -> Feed:
        impressions = Impressions(Discarded(), _nothing, _nothing, (LogUnavailableError,))
        numbers = itertools.count(1)
        clock = Clock(lambda: time.time_ns() // 1_000_000, lambda: f"{next(numbers):032x}", time.perf_counter)
        models = Given(Model(bundle, "bench@1"))
        return build_feed(self.settings, client, models, impressions, clock, ServingMetrics())

    async def _page(self, feed: Feed, reader: int) -> None:
        answer, _ = await feed.page(Request(reader, self.algorithm, LIMIT, None, audit=True))
        body = json_response(page_shape(answer, None, False, 0.0)).body
        if answer.rung != self.rung or len(answer.items) != LIMIT or not body:
            raise BenchmarkRefusedError(
                f"The answer has {len(answer.items)} items on the {answer.rung} rung ({answer.reason})."
            )

    async def _record(self, client: Any, reader: int) -> tuple[list[Trip], Predictions]:
        recorder, predictions = Recorder(client), Predictions(self.bundle)
        feed = self._feed(recorder, predictions)
        await self._page(feed, reader)
        # Again, so that what is read once in a process is not in it.
        recorder.trips, predictions.light, predictions.heads = [], [], []
        await self._page(feed, reader)
        await feed.runner.drain()
        return recorder.trips, predictions


@contextmanager
def feed_here(algorithm: Algorithm, rung: str) -> Iterator[FeedHere]:
    """A server of its own, and a bundle of six heads of 100 trees and a light ranker of 50."""
    with tempfile.TemporaryDirectory(prefix="tideline-bench-") as folder, running_store() as address:
        section = ServingSection(cursor_key=Path(folder) / "cursor.key", deadline_ms=60_000)
        settings = ServingSettings(redis=address, serving=section)
        with open_store(address) as client:
            keys = Keyspace.of(settings)
            world = seed(client, keys, settings.timelines, time.time_ns() // 1_000_000, readers=20)
        bundle = write_model(Path(folder) / "model", trees=100, light_trees=50)
        gc.collect()
        gc.freeze()  # as the service does
        yield FeedHere(address, settings, world, bundle, algorithm, rung)


def _predict(predictions: Predictions) -> None:
    bundle = predictions.bundle
    for matrix in predictions.light:
        if bundle.light is not None:
            bundle.light.predict(matrix, num_threads=1)
    for matrix in predictions.heads:
        for booster in bundle.boosters.values():
            booster.predict(matrix, num_threads=1)


def _nothing() -> None:
    pass
