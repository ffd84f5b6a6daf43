"""The timeline store under contract: in memory, on a real Valkey server, and on a cluster of three."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from store_under_test import StoreUnderTest, memory_store, real_store

from records.migrate import migrate
from records.settings import RecordsSettings
from timelines.settings import TimelineSettings

if TYPE_CHECKING:
    from feast_under_test import Feast

_namespaces = itertools.count()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(
    params=[
        "memory",
        pytest.param("valkey", marks=pytest.mark.valkey),
        pytest.param("valkey_cluster", marks=pytest.mark.valkey),
    ]
)
def store(request: pytest.FixtureRequest) -> Iterator[StoreUnderTest]:
    """A store that keeps 5 entries and trims at about 4 more: in memory, on one server, on a cluster."""
    settings = TimelineSettings(length=5, slack=4)
    if request.param == "memory":
        yield memory_store(settings)
        return
    url = request.getfixturevalue(request.param)
    made = real_store(url, settings, cluster=request.param == "valkey_cluster")
    yield made
    made.client.close()


@pytest.fixture
def records(postgres: str) -> RecordsSettings:
    """Settings of the real PostgreSQL server; ``records_namespace`` names a schema of its own."""
    return RecordsSettings(dsn=postgres)


@pytest.fixture
def records_namespace(records: RecordsSettings) -> str:
    """A namespace whose tables are there and empty."""
    namespace = f"records{next(_namespaces)}"
    migrate(records, namespace)
    return namespace


@pytest.fixture(params=["valkey", "valkey_cluster", "stock"])
def open_feast(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Feast]:
    """Opens feature stores, each of a project of its own, on one server: over our store, or over Feast's."""
    from feast_under_test import open_project

    url = request.getfixturevalue("valkey" if request.param == "stock" else request.param)
    return lambda: open_project(request.param, url, tmp_path, f"feast_{next(_namespaces)}")


@pytest.fixture
def feast(open_feast: Callable[[], Feast]) -> Feast:
    return open_feast()
