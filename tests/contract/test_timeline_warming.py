"""The background rebuild: everybody once, in order, at a bounded rate, and on from where it stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from timelines.entry import entries
from timelines.home import HomeReader
from timelines.warming import missing, readers_of, shorten, warm

BIG, AUTHOR = 2**60, 7


def reading(client: Any, store: Any) -> Callable[[int], Awaitable[bool]]:
    """Reads a timeline and says whether it was rebuilt."""
    home = HomeReader(client, store.keys, store.settings)

    async def read(reader: int) -> bool:
        return (await home.read(reader)).rebuilt

    return read


def lost(store: Any, readers: range) -> None:
    """Readers whose timelines the store lost, while outboxes and follows are there."""
    store.publish(entries([(BIG + 1, AUTHOR, BIG + 1, AUTHOR, 0)]))
    for reader in readers:
        store.follow(reader, AUTHOR)


def test_every_missing_timeline_is_rebuilt_once(store: Any) -> None:
    readers = range(100, 130)
    lost(store, readers)
    passed: list[tuple[int, int]] = []

    async def scenario(client: Any) -> list[int]:
        found = await readers_of(client, store.keys)
        read = reading(client, store)

        async def run() -> int:
            return await warm(read, found, 1e9, 8, lambda *told: passed.append(told), lambda: 0.0)

        assert found == list(readers)
        return [await run(), await run()]

    assert store.run(scenario) == [30, 0]
    assert passed[:4] == [(107, 8), (115, 16), (123, 24), (129, 30)]


def test_the_rate_is_kept(store: Any) -> None:
    lost(store, range(100, 120))
    now, slept = [0.0], []

    async def sleep(pause: float) -> None:
        slept.append(pause)
        now[0] += pause

    async def scenario(client: Any) -> None:
        await warm(reading(client, store), range(100, 120), 10, 5, lambda *told: None, lambda: now[0], sleep)

    store.run(scenario)
    assert slept == pytest.approx([0.5, 0.5, 0.5])


def test_only_readers_without_a_timeline_are_missing_one(store: Any) -> None:
    lost(store, range(100, 104))
    store.read(102)
    assert store.run(lambda client: missing(client, store.keys, range(100, 104))) == [100, 101, 103]


def test_a_shortened_timeline_lives_on_as_any_other_once_it_is_read(store: Any) -> None:
    lost(store, range(100, 102))
    for reader in (100, 101):
        store.read(reader)
        store.run(lambda client, reader=reader: shorten(client, store.keys, reader, 60_000))
    store.read(101)
    for key in (store.keys.home, store.keys.home_tail):
        assert 0 < store.client.pttl(key(100)) <= 60_000
        assert store.client.pttl(key(101)) > 86_400_000


@pytest.mark.valkey
def test_the_command_goes_on_where_it_stopped(
    valkey: str, tmp_path: Path, monkeypatch: Any, store: Any
) -> None:
    if type(store.client).__name__ != "Redis":
        pytest.skip("The command is told of one server.")
    from stack.cli import app

    lost(store, range(100, 110))
    for name, value in {
        "HOME": tmp_path,
        "NAMESPACE": store.keys.namespace,
        "REDIS__URL": valkey,
        "REDIS__PARTITIONS": store.keys.partitions,
    }.items():
        monkeypatch.setenv(f"TIDELINE_{name}", str(value))
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "rebuild" / f"{store.keys.namespace}.json"
    place.parent.mkdir()
    place.write_text(json.dumps({"after": 104}))

    def command(*arguments: str) -> dict[str, Any]:
        outcome = CliRunner().invoke(app, ["rebuild", "--json", *arguments], catch_exceptions=False)
        assert outcome.exit_code == 0
        answer: dict[str, Any] = json.loads(outcome.stdout.splitlines()[-1])
        return answer

    assert command()["rebuilt"] == 5
    assert not place.exists()
    assert command()["rebuilt"] == 5
    listed = tmp_path / "readers.txt"
    listed.write_text("100\n109\n")
    assert command("--readers", str(listed))["readers"] == 2


def test_a_store_that_is_away_ends_the_rebuild_with_its_error(store: Any) -> None:
    class Away:
        def pipeline(self, transaction: bool = True) -> Any:
            raise ConnectionError("away")

    passed: list[Any] = []
    warming = warm(reading(Away(), store), [1, 2], 1, 1, passed.append, lambda: 0.0)
    with pytest.raises(ConnectionError):
        asyncio.run(warming)
    assert not passed
