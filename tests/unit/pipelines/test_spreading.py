"""An author above the threshold leaves the author's shard whole; each share gets what is its followers'."""

from __future__ import annotations

from fan_out_job import PUSH_ALL, Table
from fan_out_model import LENGTH, follow, new_tables, pull_at, retweet, tweet

from ingestion.events import AnyEvent, FanOutChanged, decode
from pipelines.stream.authors import Authors
from pipelines.stream.backlog import Backlog
from pipelines.stream.fan_out import fan_out, without_followers
from pipelines.stream.spreading import SpreadAuthors, ToShare, decode_message, encode_message, take_over
from pipelines.stream.tiers import FanOutTiers
from timelines.entry import unpack

SHARDS, ABOVE = 3, 6


class AuthorShard:
    """The author's side, over tables that can be looked into."""

    def __init__(self, tiers: FanOutTiers = PUSH_ALL) -> None:
        self.tables, self.waiting, self.table = new_tables(), Table(), Table()
        self.authors, self.backlog = Authors(self.tables), Backlog(self.waiting)  # type: ignore[arg-type]
        self.spread = SpreadAuthors(self.table, SHARDS)
        self.tiers = tiers

    def take(self, *events: AnyEvent, recheck: tuple[int, ...] = ()) -> list[ToShare]:
        here, elsewhere = self.spread.divide(list(events))
        result = fan_out(here, self.authors, self.tiers, LENGTH, recheck)
        for author, entries in result.throttled.items():
            self.backlog.add(author, entries, 0)
        messages = self.spread.messages(here, elsewhere, self.authors, self.backlog, self.tiers, ABOVE)
        return [decode_message(encode_message(message)) for message in messages]


def grown(tiers: FanOutTiers = PUSH_ALL) -> tuple[AuthorShard, list[ToShare]]:
    shard = AuthorShard(tiers)
    shard.take(tweet(50, 1), *(follow(reader, 1, reader) for reader in range(10, 10 + ABOVE - 1)))
    shard.take(tweet(51, 1))
    return shard, shard.take(follow(20, 1, 20))


def test_each_share_is_handed_the_edges_of_its_followers_and_the_newest_entries() -> None:
    _, messages = grown()
    for number, message in enumerate(messages):
        share = Authors(new_tables())
        assert take_over(message.handovers, share, Backlog(Table()), LENGTH, 0) == [1]  # type: ignore[arg-type]
        followers = [reader for reader in (*range(10, 15), 20) if reader % SHARDS == number]
        assert share.get(1).followers().tolist() == followers
        assert share.get(1).newest_entries(LENGTH)["appearance"].tolist() == [51, 50]


def test_the_authors_shard_keeps_nothing_but_that_the_author_is_spread() -> None:
    shard, _ = grown()
    assert [*shard.tables.heads.items()] == []
    assert (shard.tables.recents, shard.tables.edges, list(shard.waiting)) == ({}, {}, [])
    assert list(shard.table) == [1]


def test_a_follow_is_told_to_one_share_and_an_entry_to_all_of_them() -> None:
    shard, _ = grown()
    told = follow(22, 1, 30), tweet(52, 1), retweet(53, 1, 7, 8)
    messages = shard.take(*told, follow(1, 2, 31), tweet(54, 2))
    assert [[decode(event) for event in message.events] for message in messages] == [
        [*told[1:]],
        [*told],
        [*told[1:]],
    ]
    assert not any(message.handovers for message in messages)


def test_what_waited_for_followers_is_handed_over() -> None:
    _, messages = grown(FanOutTiers(push_below=1, pull_above=99, throttled_per_second=1))
    waiting = [unpack(message.handovers[0].waiting)["appearance"].tolist() for message in messages]
    assert waiting == [[50, 51]] * SHARDS


def test_a_pulled_authors_shares_begin_as_pulled_and_come_back_by_their_own_count() -> None:
    _, messages = grown(pull_at(3))
    assert [message.handovers[0].pulled for message in messages] == [True] * SHARDS
    share = Authors(new_tables())
    crossed = take_over(messages[0].handovers, share, Backlog(Table()), LENGTH, 0)  # type: ignore[arg-type]
    result = fan_out([], share, pull_at(99).of_a_share(SHARDS), LENGTH, crossed, to_authors=False)
    assert result.returning[1]["appearance"].tolist() == [51, 50]


def test_an_author_on_the_way_back_from_being_pulled_is_handed_over_as_pulled() -> None:
    shard = AuthorShard(pull_at(3))
    shard.take(tweet(50, 1), *(follow(reader, 1, reader) for reader in range(10, 10 + ABOVE - 1)))
    shard.tiers = PUSH_ALL
    shard.take(recheck=(1,))
    assert shard.authors.get(1).returning
    assert [message.handovers[0].pulled for message in shard.take(follow(20, 1, 20))] == [True] * SHARDS


def test_changed_thresholds_are_news_for_every_share() -> None:
    shard = AuthorShard()
    changed = FanOutChanged(event_id="s", ts=5, push_below=1, pull_above=2, throttled_per_second=3)
    assert [message.tiers for message in shard.take(changed)] == [PUSH_ALL] * SHARDS
    assert shard.take(tweet(50, 1)) == []


def test_a_share_of_the_thresholds_is_rounded_up() -> None:
    share = FanOutTiers(10, 100, 7).of_a_share(8)
    assert (share.push_below, share.pull_above, share.throttled_per_second) == (2, 13, 7)


def test_what_is_written_at_once_for_a_spread_author_goes_to_nobody_else() -> None:
    result = without_followers([follow(2, 1, 5), follow(2, 1, 4, active=False), tweet(50, 1)])
    assert result.edges == {2: {1: (5, True)}}
    assert result.entries["appearance"].tolist() == [50]
    assert (result.deliveries.readers.tolist(), result.deliveries.activate.tolist()) == ([1], [2])


def test_a_share_tells_of_an_unfollow_that_wins_in_the_moment_of_a_follow_and_again_with_the_follow() -> None:
    share = Authors(new_tables())
    made, ended = follow(2, 1, 5, name="a"), follow(2, 1, 5, active=False, name="b")
    told = [fan_out([event], share, PUSH_ALL, LENGTH, to_authors=False).ties for event in (made, ended, made)]
    assert told == [[], [(2, 1, 5)], [(2, 1, 5)]]
