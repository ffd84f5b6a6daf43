"""A rebuild happens once for all who wait for it, is taken over when its holder dies, and is never stale."""

from __future__ import annotations

import asyncio
import multiprocessing
from typing import Any

import pytest
from store_under_test import memory_store, real_store

from timelines import commands, timeline
from timelines.client import open_async_client
from timelines.entry import Entries, entries
from timelines.home import HomeReader
from timelines.keys import Keyspace
from timelines.memory import MemoryRedis
from timelines.settings import RedisSettings, TimelineSettings

BIG = 2**60
AUTHOR, READER, OTHER = 7, 9, 11


def tweets(author: int, *ids: int) -> Entries:
    return entries([(BIG + number, author, BIG + number, author, 0) for number in ids])


def ids(found: Entries) -> list[int]:
    return [int(appearance) - BIG for appearance in found["appearance"]]


def stored_home(store: Any) -> Any:
    return timeline.decode_home(
        *(store.client.get(key) for key in (store.keys.home(READER), store.keys.home_tail(READER)))
    )


class Counted:
    """A client that counts the functions called through it."""

    def __init__(self, client: Any, calls: list[str]) -> None:
        self._client, self._calls = client, calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def fcall(self, function: str, *args: Any) -> Any:
        answer = await self._client.fcall(function, *args)
        if answer is not None:
            self._calls.append(function)
        return answer


def test_processes_that_ask_together_share_one_rebuild(store: Any) -> None:
    store.follow(READER, AUTHOR)
    store.publish(tweets(AUTHOR, 1, 2))
    done: list[str] = []

    async def scenario(client: Any) -> None:
        readers = [HomeReader(Counted(client, done), store.keys, store.settings) for _ in range(10)]
        answers = await asyncio.gather(*(reader.read(READER) for reader in readers))
        assert [ids(answer.entries) for answer in answers] == [[2, 1]] * 10
        assert sum(answer.rebuilt for answer in answers) == 1

    store.run(scenario)
    assert done == ["open_home", "fill_home"]


def test_a_rebuild_whose_process_died_is_taken_over(store: Any) -> None:
    store.settings = TimelineSettings(length=5, slack=4, rebuild_lease_ms=1000)
    if isinstance(store.client, MemoryRedis):
        now = iter(range(0, 10**6, 10))  # each look at the clock is 10 ms later
        store = memory_store(store.settings, lambda: next(now))
    store.follow(READER, AUTHOR)
    store.publish(tweets(AUTHOR, 1))
    names = [store.keys.home(READER), store.keys.home_tail(READER), store.keys.activated(READER % 4)]
    names.append(store.keys.rebuild_lease(READER))
    assert store.client.fcall("open_home", 4, *names, 10**6, READER, b"dead", 1000, -1) is not None
    assert store.client.fcall("open_home", 4, *names, 10**6, READER, b"late", 1000, -1) is None
    read = store.read(READER)
    assert (ids(read.entries), read.rebuilt) == ([1], True)
    assert not store.read(READER).rebuilt


@pytest.mark.parametrize("dropped", [False, True])
def test_a_rebuild_that_lost_its_lease_does_not_fill(store: Any, dropped: bool) -> None:
    store.follow(READER, AUTHOR)
    store.publish(tweets(AUTHOR, 1))

    async def scenario(client: Any) -> None:
        original = client.fcall

        async def overtaken(function: str, *args: Any) -> Any:
            if function == "fill_home":
                store.deliver([READER], tweets(AUTHOR, 2))
                store.publish(tweets(AUTHOR, 2))
                if dropped:
                    store.write(commands.drop_home, READER)
                else:
                    store.client.set(store.keys.rebuild_lease(READER), b"another's")
            return await original(function, *args)

        client.fcall = overtaken
        await HomeReader(client, store.keys, store.settings).read(READER)

    store.run(scenario)
    home = stored_home(store)
    assert home is None or not home.complete
    store.client.delete(store.keys.rebuild_lease(READER))
    assert ids(store.read(READER).entries) == [2, 1]


def _read_in_a_process(url: str, namespace: str, start: Any, answers: Any) -> None:
    async def read() -> None:
        client = open_async_client(RedisSettings(url=url, partitions=4), timeout_s=10)
        try:
            home = await HomeReader(client, Keyspace(namespace, 4), TimelineSettings()).read(READER)
            answers.put((home.rebuilt, len(home.entries)))
        finally:
            await client.aclose()

    start.wait()
    asyncio.run(read())


@pytest.mark.valkey
def test_real_processes_share_one_rebuild(valkey: str) -> None:
    store = real_store(valkey, TimelineSettings(), cluster=False)
    for author in range(100, 400):
        store.follow(READER, author)
        store.publish(tweets(author, *range(author * 50, author * 50 + 20)))
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(4), context.Queue()
    arguments = (valkey, store.keys.namespace, start, answers)
    processes = [context.Process(target=_read_in_a_process, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(found) == [(False, 800)] * 3 + [(True, 800)]


def follows_pulled(store: Any, *authors: int) -> None:
    store.activate(READER)
    store.write(commands.mark_pulled, list(authors))
    for author in authors:
        store.follow(READER, author)


def test_kept_outboxes_answer_for_a_moment_and_are_then_refreshed(store: Any) -> None:
    follows_pulled(store, AUTHOR)
    store.publish(tweets(AUTHOR, 1))
    now = [0.0]

    async def scenario(client: Any) -> None:
        reader = HomeReader(client, store.keys, store.settings, seconds=lambda: now[0])
        assert ids((await reader.read(READER)).entries) == [1]
        store.publish(tweets(AUTHOR, 2))
        now[0] = 0.4
        assert ids((await reader.read(READER)).entries) == [1]
        now[0] = 0.6
        assert ids((await reader.read(READER)).entries) == [1]
        await reader.drain()
        assert ids((await reader.read(READER)).entries) == [2, 1]
        store.publish(tweets(AUTHOR, 3))
        now[0] = 1.7
        assert ids((await reader.read(READER)).entries) == [3, 2, 1]

    store.run(scenario)


def test_kept_outboxes_never_hide_an_unfollow_a_follow_an_undo_or_an_own_tweet(store: Any) -> None:
    follows_pulled(store, AUTHOR, OTHER)
    store.write(commands.mark_pulled, [READER])
    store.publish(tweets(AUTHOR, *range(10, 20)))
    store.publish(tweets(OTHER, 1, 2, 3))

    async def scenario(client: Any) -> None:
        reader = HomeReader(client, store.keys, store.settings, seconds=lambda: 0.0)

        async def read() -> list[int]:
            return ids((await reader.read(READER)).entries)

        assert await read() == [19, 18, 17, 16, 15]
        store.publish(tweets(READER, 30))
        assert await read() == [30, 19, 18, 17, 16]
        store.follow(READER, AUTHOR, ts_ms=2, active=False)
        assert await read() == [30, 3, 2, 1]
        store.follow(READER, AUTHOR, ts_ms=3)
        assert await read() == [30, 19, 18, 17, 16]
        withdrawn = tweets(AUTHOR, 19)
        withdrawn["flags"] = 8
        store.publish(withdrawn)
        assert await read() == [30, 18, 17, 16]

    store.run(scenario)


def test_what_is_kept_is_bounded(store: Any) -> None:
    follows_pulled(store, AUTHOR)
    store.settings = store.settings.model_copy(update={"pull_cache_readers": 2})
    store.publish(tweets(AUTHOR, 1))
    for reader in (21, 22, 23):
        store.activate(reader)
        store.follow(reader, AUTHOR)

    async def scenario(client: Any) -> None:
        reader = HomeReader(client, store.keys, store.settings, seconds=lambda: 0.0)
        for number in (21, 22, 23):
            await reader.read(number)
        store.publish(tweets(AUTHOR, 2))
        found = [ids((await reader.read(number)).entries) for number in (23, 22, 21)]
        assert found == [[1], [1], [2, 1]]

    store.run(scenario)
