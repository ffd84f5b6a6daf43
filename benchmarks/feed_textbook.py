"""Pages a second of the ranked feed, beside a plain build of the same feed over the same data and bundle.

500 candidates in, 150 of them to six heads of 100 trees of 31 leaves, pruned by a light ranker of 50 trees,
50 out. ``benchmarks/peers/textbook`` is what a team builds from the documentation: sorted-set timelines,
Feast's ``get_online_features`` over its stock Redis store, pydantic objects, FastAPI. Each is one uvicorn
worker on one core; Valkey and the few connections that ask share the other. What follows an answer
(impressions, what was served) is left out of both. ``ratio`` is to the better of the peers with LightGBM's
default threading and with one thread; ``ratio_cpu`` compares the processor time of a page.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import redis

from benchmarks.feed_model import write_model
from benchmarks.feed_service import key_files, model_folder, running_service, security_of
from benchmarks.feed_world import World, seed
from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.load import drive, get
from benchmarks.open_loop import pinned, two_cores
from benchmarks.service import HOST, running_app
from benchmarks.store import open_store, running_store
from ingestion.tokens import mint
from timelines.client import open_async_client
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

CONNECTIONS = 4
LIMIT = 50
PATH = f"/v1/feed?limit={LIMIT}"
PAGES, PEER_PAGES = 200, 60
ALIKE = 0.9
"""Of two pages; the age of a tweet is one of its features, and one page in fifty explores."""
THREADS = {"default_threads": {}, "one_thread": {"TEXTBOOK_THREADS": "1"}}


@dataclass(frozen=True)
class Pages:
    """A running service, a token of each reader, and what every ranked page holds."""

    port: int
    process: psutil.Process
    tokens: Sequence[str]
    expected: bytes

    def asked(self, pages: int) -> Figures:
        """Each of a few connections asks again when it is answered.

        Raises:
            BenchmarkRefusedError: an answer was not a ranked page.
        """
        tokens = itertools.islice(itertools.cycle(self.tokens), pages)
        requests = [get(PATH, HOST, token) for token in tokens]
        before = self.process.cpu_times()
        outcome = asyncio.run(drive(HOST, self.port, requests, CONNECTIONS, self.expected))
        after = self.process.cpu_times()
        if outcome.expected != pages:
            raise BenchmarkRefusedError(f"Of {pages} answers {outcome.expected} were ranked pages.")
        cpu = after.user + after.system - before.user - before.system
        return {
            "rps": pages / outcome.wall,
            "p50_ms": float(np.percentile(np.array(outcome.seconds) * 1000, 50)),
            "pages_per_cpu_s": pages / cpu,
        }

    def shown(self) -> list[list[str]]:
        """The appearances on each reader's page."""
        url = f"http://{HOST}:{self.port}{PATH}"
        pages = (
            httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30) for token in self.tokens
        )
        return [[item["appearance_id"] for item in page.json()["items"]] for page in pages]


@dataclass(frozen=True)
class Both:
    """Our service and the peers, by how LightGBM threads."""

    ours: Pages
    peers: dict[str, Pages]

    def run(self) -> Figures:
        return self.ours.asked(PAGES)

    def baseline(self) -> Figures:
        return better({name: peer.asked(PEER_PAGES) for name, peer in self.peers.items()})

    def refuse_if_they_differ(self) -> None:
        ours = self.ours.shown()
        for peer in self.peers.values():
            for mine, theirs in zip(ours, peer.shown(), strict=True):
                require_alike(mine, theirs)


def better(peers: dict[str, Figures]) -> Figures:
    """The figures of the peer with more pages a second; beside them the ``rps`` of each."""
    best = max(peers.values(), key=lambda figures: figures["rps"])
    return {**best, **{f"{name}_rps": figures["rps"] for name, figures in peers.items()}}


def require_alike(ours: Sequence[str], theirs: Sequence[str]) -> None:
    """Whether two pages are full and show the same but for a few.

    Raises:
        BenchmarkRefusedError: they are not.
    """
    same = len(set(ours) & set(theirs))
    if len(ours) != LIMIT or len(theirs) != LIMIT or same < ALIKE * LIMIT:
        raise BenchmarkRefusedError(
            f"Our page has {len(ours)} items, the textbook's {len(theirs)}, and they share {same}."
        )


@contextmanager
def trial() -> Iterator[Trial]:
    """A Valkey, our service and two textbook services of their own.

    Raises:
        BenchmarkRefusedError: one does not start, or they show different pages.
    """
    service_core, other_core = two_cores()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tideline-bench-")))
        stack.enter_context(pinned(other_core))
        address = stack.enter_context(running_store())
        bundle = model_folder(home)
        write_model(bundle, trees=100, light_trees=50)
        world = _seeded(address, home / "registry.db")
        settings = {"TIDELINE_SERVING__DEADLINE_MS": "60000"}
        now = int(time.time())
        tokens = [mint(security_of(home), reader, now, audit=True) for reader in world.readers]
        started = stack.enter_context(running_service(home, address.url, settings, service_core))
        ours = Pages(*started, tokens, b'"rung":"full"')
        peers = {}
        for name, threads in THREADS.items():
            environment = {
                "TEXTBOOK_REDIS_URL": address.url,
                "TEXTBOOK_REGISTRY": str(home / "registry.db"),
                "TEXTBOOK_BUNDLE": str(bundle),
                **key_files(home),
                **threads,
            }
            app, log = "benchmarks.peers.textbook.app:from_environment", home / f"{name}.log"
            started = stack.enter_context(running_app(app, environment, log, service_core))
            peers[name] = Pages(*started, tokens, b'"candidates":500')
        both = Both(ours, peers)
        both.refuse_if_they_differ()
        yield Trial(
            "feed-textbook",
            both.run,
            both.baseline,
            ("rps", "rps"),
            more_ratios={
                **{f"ratio_{name}": ("rps", f"{name}_rps") for name in THREADS},
                "ratio_cpu": ("pages_per_cpu_s", "pages_per_cpu_s"),
            },
        )


def _seeded(address: RedisSettings, registry: Path) -> World:
    """One world in both forms."""
    # Feast takes seconds to load.
    from benchmarks.peers.textbook.data import copy, copy_features
    from benchmarks.peers.textbook.feature_store import open_stock_store

    keys, timelines = Keyspace("", address.partitions), TimelineSettings()
    with open_store(address) as client:
        world = seed(client, keys, timelines, time.time_ns() // 1_000_000, readers=20)

    async def copied() -> None:
        ours = open_async_client(address, timeout_s=30)
        try:
            with redis.Redis.from_url(address.url, decode_responses=True) as theirs:
                await copy(ours, keys, timelines, world, theirs)
            await copy_features(ours, keys, world, open_stock_store(registry, address.url))
        finally:
            await ours.aclose()

    asyncio.run(copied())
    return world
