"""The ranking service while Valkey or MLflow stalls, delays, resets or cuts what it answers.

Deadlines are conditions with generous bounds: ``served.BOUND_S`` for a request, a minute for what is awaited.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from serving.settings import BreakerSection
from training.settings import MlflowSettings

from .proxy import CUT, PASS, RESET, STALL, Fault, Proxy, delay
from .served import NOWHERE, Seeded, Served, seed_readers, served, unavailable, until

pytestmark = [pytest.mark.valkey, pytest.mark.postgres]

NEVER = BreakerSection(calls=10_000, least_calls=10_000)
QUICK = BreakerSection(calls=20, least_calls=5, slow_ms=200, pause_ms=200)


@pytest.fixture(scope="module")
def seeded(valkey: str, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Seeded:
    return seed_readers(valkey, postgres, tmp_path_factory.mktemp("bundles") / "tideline-ranker-1")


@pytest.mark.parametrize(
    "fault", [STALL, RESET, CUT, delay(0.25)], ids=["stalled", "reset", "cut", "delayed"]
)
def test_under_a_fault_of_redis_every_reader_has_a_feed_in_time_and_the_breaker_opens_and_closes(
    fault: Fault, valkey: str, seeded: Seeded, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(tmp_path, valkey, seeded, redis_breaker=QUICK) as running:
            await running.proxy.become(fault)

            async def refuses() -> bool:
                await running.everyone(times=1)
                return running.refused()

            await until(refuses, "the breaker opens")
            await running.proxy.become(PASS)
            await running.until_full()
            await running.everyone(times=1)

    asyncio.run(scenario())


def test_while_the_breaker_is_open_redis_is_not_asked_and_the_records_answer(
    valkey: str, seeded: Seeded, tmp_path: Path
) -> None:
    async def scenario() -> None:
        section = QUICK.model_copy(update={"pause_ms": 3_600_000})
        async with served(tmp_path, valkey, seeded, redis_breaker=section) as running:
            await running.proxy.become(CUT)

            async def opened() -> bool:
                await running.feed(seeded.world.readers[0])
                return running.breaker() == "open"

            await until(opened, "the breaker opens")
            await running.proxy.become(PASS)
            before = running.proxy.asked
            pages = await running.everyone(times=1)
            assert {page["ranking"]["rung"] for page in pages} == {"records"}
            ready = (await running.http.get("/readyz")).json()
            assert ready["breakers"] == {"redis": "open", "records": "closed"}
            assert "circuit breaker" in ready["dependencies"]["redis"]
            assert running.proxy.asked == before

    asyncio.run(scenario())


def test_replies_that_are_late_or_cut_never_reach_another_request(
    valkey: str, seeded: Seeded, tmp_path: Path
) -> None:
    """A short deadline and impatient clients cancel many round trips while their replies are under way."""
    chance = random.Random(7)
    trouble = Fault(delay_s=lambda: chance.choice((0, 0, 0.01, 0.05)), cut=lambda _: chance.random() < 0.02)

    async def impatient(running: Served, reader: int) -> None:
        leaving = asyncio.create_task(running.feed(reader))
        await asyncio.sleep(chance.random() / 10)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)

    async def scenario() -> None:
        section: dict[str, Any] = {
            "redis_breaker": NEVER,
            "redis_connections": 4,
            "redis_wait_ms": 2000,
            "deadline_ms": 150,
        }
        async with served(tmp_path, valkey, seeded, **section) as running:
            await running.proxy.become(trouble)
            rungs: set[str] = set()
            for _ in range(4):
                left = [impatient(running, reader) for reader in seeded.world.readers]
                pages, *_ = await asyncio.gather(running.everyone(times=2), *left)
                rungs |= {page["ranking"]["rung"] for page in pages}
            assert len(rungs) > 1
            await running.proxy.become(PASS)
            await running.everyone(times=2)

    asyncio.run(scenario())


def test_without_records_a_fault_of_redis_is_a_clear_503_and_passes(
    valkey: str, seeded: Seeded, tmp_path: Path
) -> None:
    async def scenario() -> None:
        nowhere = f"postgresql://tideline@{NOWHERE}/postgres"
        section: dict[str, Any] = {"redis_breaker": QUICK, "records_breaker": QUICK}
        async with served(tmp_path, valkey, seeded, dsn=nowhere, **section) as running:
            await running.proxy.become(CUT)
            paths = ("/v1/feed", "/v1/feed?algorithm=chronological", "/v1/feed/delta?since=1", "/v1/tweets/1")

            async def opened() -> bool:
                readers = seeded.world.readers
                for answer in await asyncio.gather(*(running.get(p, r) for p in paths for r in readers)):
                    unavailable(answer)
                return running.breaker() == running.breaker("records") == "open"

            await until(opened, "both breakers open")
            assert (await running.http.get("/readyz")).status_code == 503
            await running.proxy.become(PASS)

            async def answers() -> bool:
                return (await running.get("/v1/feed", seeded.world.readers[0])).status_code == 200

            await until(answers, "the feed is back")

    asyncio.run(scenario())


class Registry:
    """Makes champions of one model in a real MLflow server, past the proxy, over its REST interface."""

    def __init__(self, address: str, name: str, bundle: Path) -> None:
        self._http = httpx.Client(base_url=f"{address}/api/2.0", timeout=60)
        self._name = name
        self._bundle = bundle
        self._experiment = self._post("mlflow/experiments/create", name=name)["experiment_id"]
        self._post("mlflow/registered-models/create", name=name)

    def new_champion(self) -> str:
        """``name@version`` of it."""
        run = self._post("mlflow/runs/create", experiment_id=self._experiment)["run"]["info"]
        source = f"{run['artifact_uri']}/bundle"
        for file in self._bundle.iterdir():
            path = f"{urlsplit(source).path.strip('/')}/{file.name}"
            self._http.put(
                f"/mlflow-artifacts/artifacts/{path}", content=file.read_bytes()
            ).raise_for_status()
        created = self._post(
            "mlflow/model-versions/create", name=self._name, source=source, run_id=run["run_id"]
        )
        version = created["model_version"]["version"]
        alias = {"name": self._name, "alias": "champion", "version": version}
        self._post("mlflow/registered-models/alias", **alias)
        return f"{self._name}@{version}"

    def _post(self, path: str, **body: Any) -> Any:
        return self._http.post(f"/{path}", json=body).raise_for_status().json()


# The MLflow server imports for long on a busy machine.
@pytest.mark.timeout(600)
def test_under_a_fault_of_mlflow_feeds_are_ranked_with_the_model_in_use_and_then_with_the_next(
    valkey: str, seeded: Seeded, mlflow_server: str, tmp_path: Path
) -> None:
    registry = Registry(mlflow_server, "faulty", seeded.bundle)
    halved_files = Fault(cut=lambda size: size > 2_000)

    async def scenario() -> None:
        address = urlsplit(mlflow_server)
        async with Proxy(str(address.hostname), int(address.port or 0)).listening() as proxy:
            mlflow = MlflowSettings(
                tracking_uri=f"http://127.0.0.1:{proxy.port}",
                model_name="faulty",
                timeout_seconds=2,
                retries=0,
            )
            section = {"deadline_ms": 60_000, "model_poll_seconds": 0.05, "redis_breaker": NEVER}
            async with served(tmp_path, valkey, seeded, mlflow, **section) as running:
                for fault in (STALL, RESET, CUT, halved_files):
                    before = running.model
                    await proxy.become(fault)
                    champion = await asyncio.to_thread(registry.new_champion)

                    async def troubled() -> bool:
                        return "failed" in str(running.service.models.problem)

                    async def followed(champion: str = champion) -> bool:
                        return running.model == champion

                    await until(troubled, "the registry's trouble is known")
                    pages = await running.everyone(times=1)
                    models = {page["ranking"]["model"] for page in pages}
                    assert models == {before, None}, "the ranked ones and those asked for newest first"
                    await proxy.become(PASS)
                    await until(followed, f"{champion} is in use")

    asyncio.run(scenario())


def test_the_service_starts_and_answers_while_the_registry_stalls_and_there_is_no_model(
    valkey: str, seeded: Seeded, tmp_path: Path
) -> None:
    async def scenario() -> None:
        # Whatever server stands behind it: it never answers.
        address = urlsplit(valkey)
        async with Proxy(str(address.hostname), int(address.port or 0)).listening() as proxy:
            await proxy.become(STALL)
            mlflow = MlflowSettings(tracking_uri=f"http://127.0.0.1:{proxy.port}", timeout_seconds=60)
            async with served(tmp_path, valkey, seeded, mlflow, last_good=False) as running:
                page = await running.feed(seeded.world.readers[0])
                ranking = page["ranking"]
                assert (ranking["rung"], ranking["reason"]) == ("chronological", "model_unavailable")

    asyncio.run(scenario())
