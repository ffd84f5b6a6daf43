"""A plain model of fan-out: what the store does with it, what a reader then sees, and what should be seen."""

from __future__ import annotations

from hypothesis import strategies as st

from ingestion.events import (
    AccountRegistered,
    AnyEvent,
    FollowChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from pipelines.stream.authors import AuthorTables
from pipelines.stream.deliveries import Deliveries, decode
from pipelines.stream.fan_out import FanOut
from pipelines.stream.tiers import FanOutTiers
from timelines.entry import WITHDRAWN

USERS = range(6)
LENGTH = 3
KINDS = ("follow", "follow", "unfollow", "tweet", "tweet", "retweet", "account", "delete")


def follow(follower: int, followee: int, ts: int, active: bool = True, name: str = "") -> FollowChanged:
    return FollowChanged(
        event_id=name or f"f{follower}-{followee}-{ts}",
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


def pull_at(followers: int) -> FanOutTiers:
    """Two tiers alone: pushed below so many followers, pulled from there on."""
    return FanOutTiers(push_below=followers, pull_above=followers, throttled_per_second=1)


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
        for follower, followee, ts in result.ties:
            if self.edges[follower, followee] == (ts, True):
                self.edges[follower, followee] = (ts, False)
        for appearance, author, _, _, flags, _ in result.entries.tolist():
            box = self.outboxes.setdefault(author, {})
            box[appearance] = box.get(appearance, 0) | flags
        self.pulled.update(result.pulled)
        self.deliver(result.deliveries)

    def deliver(self, deliveries: Deliveries) -> None:
        for _, part in deliveries.by_shard(partitions=4, shards=2, most=3):
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
        kind = draw(st.sampled_from(KINDS))
        moment = position + 1
        if kind in ("follow", "unfollow"):
            # Few moments, so that changes of one edge meet in one of them; the names order these.
            name = f"{draw(st.integers(0, 9))}-{moment}"
            events.append(follow(draw(user), draw(user), 1 + position // 8, kind == "follow", name))
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
