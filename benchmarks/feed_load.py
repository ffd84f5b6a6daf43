"""The ranking service on a core of its own under open-loop load, with idle streams: for two benchmarks."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.feed_model import write_model
from benchmarks.feed_service import model_folder, running_service, security_of
from benchmarks.feed_world import seed
from benchmarks.harness import BenchmarkRefusedError
from benchmarks.load import get
from benchmarks.open_loop import Answers, highest_rate, offer, pinned, two_cores
from benchmarks.service import HOST
from benchmarks.store import open_store, running_store
from ingestion.tokens import mint
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

READERS, STREAMS = 400, 300
LIMIT = 50
DEADLINE_MS = 150
FIRST_RATE, STEP_SECONDS = 8.0, 4.0
FULL_SHARE = 0.99


@dataclass(frozen=True)
class FeedOverHttp:
    """A running service; requests for a ranked page of each of its readers, and for their streams."""

    port: int
    requests: Iterator[bytes]
    streams: list[bytes]

    def offered(self, rate: float, seconds: float) -> Answers:
        """What an even load is answered while the streams are idle."""
        return asyncio.run(self._offered(rate, seconds))

    def highest(self) -> float:
        """The highest rate that is answered on the full rung.

        Raises:
            BenchmarkRefusedError: not even the first rate is.
        """
        rate = highest_rate(self._sustained, FIRST_RATE)
        if not rate:
            raise BenchmarkRefusedError(f"The service does not rank {FIRST_RATE:.0f} pages a second.")
        return rate

    def _sustained(self, rate: float) -> bool:
        answers = self.offered(rate, STEP_SECONDS)
        return answers.share("full") >= FULL_SHARE and answers.ms(99) <= DEADLINE_MS

    async def _offered(self, rate: float, seconds: float) -> Answers:
        requests = list(itertools.islice(self.requests, max(int(rate * seconds), 1)))
        async with self._idle_streams():
            return await offer(HOST, self.port, requests, rate)

    @asynccontextmanager
    async def _idle_streams(self) -> AsyncIterator[None]:
        opened = []
        try:
            for request in self.streams:
                reader, writer = await asyncio.open_connection(HOST, self.port)
                opened.append(writer)
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                if b" 200 " not in head:
                    raise BenchmarkRefusedError(f"A stream was answered {head.decode()}")
            yield
        finally:
            for writer in opened:
                writer.close()


@contextmanager
def feed_over_http() -> Iterator[FeedOverHttp]:
    """A Valkey and a ranking service with a light ranker of 50 trees and six heads of 100."""
    service_core, other_core = two_cores()
    with tempfile.TemporaryDirectory(prefix="tideline-bench-") as folder, pinned(other_core):
        home = Path(folder)
        with running_store() as address:
            with open_store(address) as client:
                keys = Keyspace("", RedisSettings().partitions)
                now_ms = time.time_ns() // 1_000_000
                world = seed(client, keys, TimelineSettings(), now_ms, readers=READERS)
            write_model(model_folder(home), trees=100, light_trees=50)
            tokens = [mint(security_of(home), reader, int(time.time())) for reader in world.readers]
            settings = {"TIDELINE_SERVING__DEADLINE_MS": str(DEADLINE_MS)}
            with running_service(home, address.url, settings, service_core) as (port, _):
                pages = [get(f"/v1/feed?limit={LIMIT}", HOST, token) for token in tokens]
                streams = [get("/v1/feed/stream", HOST, token) for token in tokens[:STREAMS]]
                yield FeedOverHttp(port, itertools.cycle(pages), streams)
