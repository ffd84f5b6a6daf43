"""Fan-out equals the definition of a feed, whatever the order, batching and repetition of its events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.events import (
    AccountRegistered,
    AnyEvent,
    FollowChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from pipelines.stream.authors import EDGES_PER_BLOCK, Authors, AuthorTables
from pipelines.stream.deliveries import decode, join
from pipelines.stream.fan_out import FanOut, fan_out, unfit
from timelines.entry import RETWEET, WITHDRAWN

USERS = range(6)
LENGTH = 3
KINDS = ("follow", "follow", "unfollow", "tweet", "tweet", "retweet", "account", "delete")


def follow(follower: int, followee: int, ts: int, active: bool = True) -> FollowChanged:
    return FollowChanged(
        event_id=f"f{follower}-{followee}-{ts}",
        ts=ts,
        follower_id=follower,
        followee_id=followee,
        active=active,
    )


def tweet(tweet_id: int, author: int) -> TweetCreated:
    return TweetCreated(event_id=f"t{tweet_id}", ts=tweet_id, tweet_id=tweet_id, author_id=author, text=None)


def retweet(retweet_id: int, user: int, tweet_id: int, author: int, active: bool = True) -> RetweetChanged:
    return RetweetChanged(
        event_id=f"r{retweet_id}{active}",
        ts=retweet_id,
        retweet_id=retweet_id,
        user_id=user,
        tweet_id=tweet_id,
        author_id=author,
        active=active,
    )


def new_tables() -> AuthorTables:
    return AuthorTables({}, {}, {})


class Store:
    """What the timeline store does with a fan-out, without trimming; reads as a reader would."""

    def __init__(self) -> None:
        self.edges: dict[tuple[int, int], tuple[int, bool]] = {}
        self.outboxes: dict[int, dict[int, int]] = {}
        self.pulled: set[int] = set()
        self.homes: dict[int, dict[int, tuple[int, int]]] = {}
        self.delivered = 0

    def write(self, result: FanOut) -> None:
        for follower, changes in result.edges.items():
            for followee, change in changes.items():
                self.edges[follower, followee] = max(
                    change, self.edges.get((follower, followee), (-1, False))
                )
        for appearance, author, _, _, flags, _ in result.entries.tolist():
            box = self.outboxes.setdefault(author, {})
            box[appearance] = box.get(appearance, 0) | flags
        self.pulled.update(result.pulled)
        for _, part in result.deliveries.by_shard(partitions=4, shards=2, most=3):
            received = decode(part.encode())
            for reader in received.activate.tolist():
                self.homes.setdefault(reader, {})
            entries = received.entries[received.which].tolist()
            for reader, (appearance, author, _, _, flags, _) in zip(
                received.readers.tolist(), entries, strict=True
            ):
                home = self.homes.setdefault(reader, {})
                home[appearance] = (author, home.get(appearance, (author, 0))[1] | flags)
                self.delivered += 1

    def feed(self, reader: int) -> list[int]:
        followees = {followee for (who, followee), edge in self.edges.items() if who == reader and edge[1]}
        authors = followees | {reader}
        found = {
            appearance: flags
            for appearance, (author, flags) in self.homes.get(reader, {}).items()
            if author in authors
        }
        for author in authors & self.pulled:
            found.update(self.outboxes.get(author, {}))
        newest = sorted(found, reverse=True)[:LENGTH]
        return [appearance for appearance in newest if not found[appearance] & WITHDRAWN]


def definition(events: list[AnyEvent], reader: int) -> list[int]:
    """The newest appearances by the accounts followed at the end and the reader, less what was taken back."""
    edges: dict[int, FollowChanged] = {}
    appearances: dict[int, int] = {}
    withdrawn: set[int] = set()
    for event in sorted(events, key=lambda event: event.order):
        match event:
            case FollowChanged() if event.follower_id == reader:
                edges[event.followee_id] = event
            case TweetCreated():
                appearances[event.tweet_id] = event.author_id
            case RetweetChanged():
                appearances[event.retweet_id] = event.user_id
                if not event.active:
                    withdrawn.add(event.retweet_id)
    authors = {followee for followee, edge in edges.items() if edge.active} | {reader}
    newest = sorted((a for a, author in appearances.items() if author in authors), reverse=True)[:LENGTH]
    return [appearance for appearance in newest if appearance not in withdrawn]


@st.composite
def histories(draw: st.DrawFn) -> list[AnyEvent]:
    user = st.sampled_from(USERS)
    events: list[AnyEvent] = []
    for position in range(draw(st.integers(0, 40))):
        kind = draw(
            st.sampled_from(
                ["follow", "follow", "unfollow", "tweet", "tweet", "retweet", "account", "delete"]
            )
        )
        moment = position + 1
        if kind in ("follow", "unfollow"):
            events.append(follow(draw(user), draw(user), moment, kind == "follow"))
        elif kind == "tweet":
            events.append(tweet(moment, draw(user)))
        elif kind == "retweet":
            events.append(retweet(moment, draw(user), 1000 + moment, draw(user)))
            if draw(st.booleans()):
                last = events[-1]
                assert isinstance(last, RetweetChanged)
                events.append(retweet(moment, last.user_id, last.tweet_id, last.author_id, active=False))
        elif kind == "account":
            events.append(
                AccountRegistered(
                    event_id=f"a{moment}",
                    ts=moment,
                    user_id=draw(user),
                    handle="h",
                    display_name="d",
                    created_at=1,
                )
            )
        else:
            events.append(
                TweetDeleted(event_id=f"d{moment}", ts=moment, tweet_id=moment - 1, author_id=draw(user))
            )
    return events


@settings(deadline=None)
@given(st.data(), histories(), st.integers(1, 4))
def test_any_order_batching_and_repetition_gives_the_feed_of_the_definition(
    data: st.DataObject, events: list[AnyEvent], push_below: int
) -> None:
    arrivals = data.draw(
        st.permutations(events + data.draw(st.lists(st.sampled_from(events or [tweet(1, 1)]))))
    )
    tables, store, everything = new_tables(), Store(), list(arrivals)
    authors = Authors(tables)
    while arrivals:
        size = data.draw(st.integers(1, 12))
        batch, arrivals = arrivals[:size], arrivals[size:]
        if data.draw(st.booleans()):
            authors = Authors(tables, capacity=data.draw(st.sampled_from([1, 1_000_000])))
        store.write(fan_out(batch, authors, push_below, LENGTH))
    for reader in USERS:
        assert store.feed(reader) == definition(everything, reader)


def test_a_new_entry_goes_to_the_followers_and_to_its_author() -> None:
    authors = Authors(new_tables())
    fan_out([follow(2, 1, 10), follow(3, 1, 11)], authors, push_below=100, length=LENGTH)
    result = fan_out([tweet(50, 1)], authors, push_below=100, length=LENGTH)
    assert sorted(result.deliveries.readers.tolist()) == [1, 2, 3]
    assert result.entries["author"].tolist() == [1]


def test_a_new_follower_gets_the_newest_entries_and_nobody_else_gets_them_again() -> None:
    authors = Authors(new_tables())
    fan_out([follow(2, 1, 10), *(tweet(number, 1) for number in range(50, 60))], authors, 100, LENGTH)
    result = fan_out([follow(3, 1, 12)], authors, 100, LENGTH)
    pairs = result.deliveries
    assert set(pairs.readers.tolist()) == {3}
    assert sorted(pairs.entries[pairs.which]["appearance"].tolist()) == [57, 58, 59]


def test_a_follow_made_again_delivers_nothing_again() -> None:
    authors = Authors(new_tables())
    fan_out([follow(2, 1, 10), tweet(50, 1)], authors, 100, LENGTH)
    result = fan_out([follow(2, 1, 12, active=False), follow(2, 1, 13)], authors, 100, LENGTH)
    assert len(result.deliveries) == 0


def test_an_author_at_the_threshold_becomes_pulled_and_is_delivered_to_nobody_else() -> None:
    authors = Authors(new_tables())
    crossing = fan_out(
        [follow(2, 1, 10), follow(3, 1, 11), tweet(50, 1)], authors, push_below=2, length=LENGTH
    )
    later = fan_out([follow(2, 1, 12, active=False), tweet(51, 1), follow(4, 1, 13)], authors, 2, LENGTH)
    assert crossing.pulled == [1]
    assert later.pulled == []
    assert crossing.deliveries.readers.tolist() == [1]
    assert later.deliveries.readers.tolist() == [1]


def test_a_repeated_event_changes_no_edge() -> None:
    authors = Authors(new_tables())
    first = fan_out([follow(2, 1, 10)], authors, 100, LENGTH)
    again = fan_out([follow(2, 1, 10)], authors, 100, LENGTH)
    assert first.edges == {2: {1: (10, True)}}
    assert again.edges == {}


def test_a_retweet_taken_back_is_sent_withdrawn() -> None:
    result = fan_out([retweet(70, 1, 5, 9, active=False)], Authors(new_tables()), 100, LENGTH)
    assert result.entries["flags"].tolist() == [RETWEET | WITHDRAWN]


def test_edges_survive_a_reload_however_often_they_changed() -> None:
    tables = new_tables()
    authors = Authors(tables)
    followers = range(10, 10 + 2 * EDGES_PER_BLOCK + 7)
    for round_number in range(6):
        events = [follow(f, 1, 100 + round_number, active=(f + round_number) % 2 == 0) for f in followers]
        fan_out(events, authors, push_below=10_000, length=LENGTH)
    expected = {follower for follower in followers if follower % 2 == 1}
    assert set(Authors(tables).get(1).followers().tolist()) == expected
    assert len(tables.edges) <= 2 * (len(followers) // EDGES_PER_BLOCK + 1) + 1  # type: ignore[arg-type]


def test_parts_for_the_shards_hold_every_pair_once() -> None:
    authors = Authors(new_tables())
    fan_out([follow(reader, 1, reader) for reader in range(2, 40)], authors, 100, LENGTH)
    pairs = fan_out([tweet(50, 1), tweet(51, 1)], authors, 100, LENGTH).deliveries
    parts = list(pairs.by_shard(partitions=16, shards=4, most=7))
    joined = join([part for _, part in parts])
    found = zip(joined.readers.tolist(), joined.entries[joined.which]["appearance"].tolist(), strict=True)
    wanted = zip(pairs.readers.tolist(), pairs.entries[pairs.which]["appearance"].tolist(), strict=True)
    assert sorted(found) == sorted(wanted)
    assert all((part.readers % 16 % 4 == shard).all() and len(part) <= 7 for shard, part in parts)


@pytest.mark.parametrize(
    "event",
    [tweet(0, 1), tweet(1 << 63, 1), tweet(1, 1 << 56), follow(-1, 2, 3), retweet(5, 1, -2, 1)],
)
def test_an_event_whose_ids_do_not_fit_an_entry_is_unfit(event: AnyEvent) -> None:
    assert unfit(event) is not None


def test_ordinary_events_are_fit() -> None:
    assert [unfit(event) for event in (tweet(1, 0), follow(0, 1, 2), retweet(5, 1, 2, 1))] == [None] * 3
