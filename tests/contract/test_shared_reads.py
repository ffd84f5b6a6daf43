"""What is the same for all readers of a page is asked of the store once."""

from __future__ import annotations

import asyncio
from typing import Any

from serving.feed.shared import Shared, SharedReads, shared
from serving.reads import Reads
from timelines import commands
from timelines.bodies import AccountCard, AccountCounts, TweetCounts


class Scene:
    """Reads by way of caches, on a clock that the test moves, over a store that counts its pipelines."""

    def __init__(self, client: Any, keys: Any) -> None:
        self.now = 0.0
        self.lookups: list[tuple[str, str, int]] = []
        self.reads = Reads(client, keys)
        self.shared: Shared = shared(self.reads, lambda: self.now, self._count)
        self.page = SharedReads(self.reads, self.shared)

    def _count(self, cache: str, outcome: str, keys: int) -> None:
        if keys:
            self.lookups.append((cache, outcome, keys))


def in_scene(store: Any, steps: Any) -> Any:
    return store.run(lambda client: steps(Scene(client, store.keys)))


def test_a_page_shows_accounts_as_its_own_reader_sees_them(store: Any) -> None:
    store.write(commands.put_card, AccountCard(7, "ada", "Ada", 1, "Lima"), 1)
    store.write(commands.set_account_counts, 7, AccountCounts(5, 6, 7), 1)
    store.write(commands.set_followee, 1, 7, 10, True)

    async def two_readers(scene: Scene) -> Any:
        follower = await scene.page.users(1, [7, 8, 7])
        stranger = await scene.page.users(2, [7])
        return follower, stranger, await scene.reads.users(1, [7, 8]), scene.lookups

    follower, stranger, read, lookups = in_scene(store, two_readers)
    assert follower == read
    assert [*follower] == [7]
    assert follower[7]["viewer"]["follows"]
    assert not stranger[7]["viewer"]["follows"]
    assert lookups == [("accounts", "miss", 2), ("accounts", "hit", 1)]


def test_counts_are_a_second_old_at_most_where_tweets_are_often_shown(store: Any) -> None:
    store.write(commands.set_tweet_counts, 11, TweetCounts(1, 2, 3, 4), 1)

    async def three_pages(scene: Scene) -> list[int]:
        shown = [await scene.page.tweet_counts([11, 12])]
        await asyncio.to_thread(store.write, commands.set_tweet_counts, 11, TweetCounts(2, 2, 3, 4), 2)
        for scene.now in (0.9, 1.1):
            shown.append(await scene.page.tweet_counts([11, 12]))
            await scene.shared.counts.drain()
        shown.append(await scene.page.tweet_counts([11, 12]))
        assert [counts["likes"] for counts in await scene.page.tweet_counts([12])] == [0]
        return [counts[0]["likes"] for counts in shown]

    assert in_scene(store, three_pages) == [1, 1, 1, 2]
