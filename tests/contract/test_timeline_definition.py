"""However the log arrives, a home read equals the definition: a plain fold over what was said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timelines import commands, entry
from timelines.edges import edge_score
from timelines.entry import RETWEET, WITHDRAWN
from timelines.home import HomeReader
from timelines.reading import collapse
from timelines.settings import TimelineSettings

USERS = range(1, 4)
SMALL = TimelineSettings(length=2, slack=2)
BASE = 2**60


@dataclass(frozen=True)
class Post:
    """A tweet, or a retweet of ``original``."""

    author: int
    appearance: int
    original: int


@dataclass(frozen=True)
class TakeBack:
    author: int
    appearance: int
    original: int


@dataclass(frozen=True)
class Follow:
    follower: int
    followee: int
    ts: int
    active: bool


@dataclass(frozen=True)
class Read:
    """A reader asks for the feed in the middle of things."""

    reader: int


@dataclass(frozen=True)
class Expire:
    reader: int


Step = Post | TakeBack | Follow | Read | Expire

users = st.sampled_from(USERS)
numbers = st.integers(1, 60)


def _post(author: int, number: int) -> Post:
    appearance = BASE + number * 8 + author  # one author per id; two of three are retweets
    return Post(author, appearance, BASE + number % 5 if number % 3 else appearance)


posts = st.builds(_post, users, numbers)
steps = st.lists(
    st.one_of(
        posts,
        posts,
        posts,
        st.builds(lambda post: TakeBack(post.author, post.appearance, post.original), posts),
        st.builds(Follow, users, users, st.integers(1, 30), st.booleans()).filter(
            lambda edge: edge.follower != edge.followee
        ),
        st.builds(Read, users),
        st.builds(Read, users),
        st.builds(Expire, users),
    ),
    min_size=15,
    max_size=120,
).map(lambda log: [Follow(a, b, 1, True) for a in USERS for b in USERS if a != b] + log)


def fold(log: list[Step], reader: int, length: int) -> list[tuple[int, list[int]]]:
    """The definition: (original, retweeters newest first) of the reader's newest appearances."""
    edges: dict[int, tuple[int, bool]] = {}
    for step in log:
        if isinstance(step, Follow) and step.follower == reader:
            edges[step.followee] = max(edges.get(step.followee, (0, False)), (step.ts, step.active))
    authors = {reader} | {followee for followee, (_, active) in edges.items() if active}
    made = {step for step in log if isinstance(step, Post) and step.author in authors}
    gone = {step.appearance for step in log if isinstance(step, TakeBack)}
    said = {post.appearance: post for post in made}
    for step in log:
        if isinstance(step, TakeBack) and step.author in authors:
            said.setdefault(step.appearance, Post(step.author, step.appearance, step.original))
    feed: dict[int, list[int]] = {}
    for appearance in sorted(said, reverse=True)[:length]:
        post = said[appearance]
        if appearance in gone:
            continue
        retweeters = feed.setdefault(post.original, [])
        if post.original != post.appearance and post.author not in retweeters:
            retweeters.append(post.author)
    return list(feed.items())


@dataclass
class Job:
    """What the stream job does, one author at a time: joins posts with followers, whatever comes first."""

    store: Any
    push_below: int
    edges: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    recent: dict[int, dict[int, Any]] = field(default_factory=lambda: defaultdict(dict))
    pulled: set[int] = field(default_factory=set)

    def write(self, put: Callable[..., Any], *args: Any) -> None:
        self.store.write(put, *args)

    def deliver(self, readers: list[int], entries: Any) -> None:
        pairs = np.repeat(np.array(readers, dtype=np.int64), len(entries)), np.tile(entries, len(readers))
        self.write(commands.deliver, self.store.settings, *pairs)

    def commands_of(self, step: Step) -> list[Callable[[], None]]:
        """The writes that the step leads to, to be run in order."""
        match step:
            case Post() | TakeBack():
                flags = RETWEET if step.original != step.appearance else 0
                if isinstance(step, TakeBack):
                    flags |= WITHDRAWN
                row = entry.entry(step.appearance, step.author, step.original, 9, flags)
                recent = self.recent[step.author]
                if step.appearance not in recent or isinstance(step, TakeBack):
                    recent[step.appearance] = row
                for old in sorted(recent)[: -self.store.settings.length]:
                    del recent[old]
                readers = [step.author]
                if step.author not in self.pulled:
                    readers += [u for u, score in self.edges[step.author].items() if score & 1]
                return [
                    lambda: self.write(commands.activate, self.store.settings, [step.author]),
                    lambda: self.write(commands.append_outbox, self.store.settings, row),
                    lambda: self.deliver(readers, row),
                ]
            case Follow(follower, followee, ts, active):
                edges, score = self.edges[followee], edge_score(ts, active)
                edges[follower] = max(edges.get(follower, 0), score)
                todo = [
                    lambda: self.write(commands.set_followee, follower, followee, ts, active),
                    lambda: self.write(commands.activate, self.store.settings, [follower]),
                ]
                if sum(score & 1 for score in edges.values()) >= self.push_below:
                    self.pulled.add(followee)
                    todo.append(lambda: self.write(commands.mark_pulled, [followee]))
                elif edges[follower] & 1 and self.recent[followee]:
                    rows = np.concatenate(list(self.recent[followee].values()))
                    todo.append(lambda: self.deliver([follower], rows))
                return todo
            case Expire(reader):
                return [lambda: self.write(commands.drop_home, reader)]
        return []


def feed_of(home: Any) -> list[tuple[int, list[int]]]:
    return [(item.original_id, list(item.retweeters)) for item in collapse(home.entries)]


@pytest.mark.parametrize("push_below", [2, 3, 99])
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=steps, again=st.lists(st.integers(0, 79), max_size=10))
def test_every_read_equals_the_fold_of_what_was_said_so_far(
    store: Any, push_below: int, log: list[Step], again: list[int]
) -> None:
    job = Job(store.fresh(SMALL), push_below)
    replayed = log + [log[index] for index in again if index < len(log)]
    for position, step in enumerate(replayed):
        for run in job.commands_of(step):
            run()
        if isinstance(step, Read):
            expected = fold(replayed[: position + 1], step.reader, SMALL.length)
            assert feed_of(job.store.read(step.reader)) == expected
    for reader in USERS:
        assert feed_of(job.store.read(reader)) == fold(replayed, reader, SMALL.length)


class Interleaving:
    """A client that lets some of the job's pending writes through before each of its own calls."""

    def __init__(self, client: Any, pending: list[Callable[[], None]], pauses: list[int]) -> None:
        self._client, self._pending, self._pauses = client, pending, pauses

    def _let_through(self) -> None:
        for _ in range(self._pauses.pop() if self._pauses else 0):
            if self._pending:
                self._pending.pop(0)()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        async def call(*args: Any, **options: Any) -> Any:
            self._let_through()
            return await method(*args, **options)

        return call

    def pipeline(self, transaction: bool = True) -> Any:
        pipe = self._client.pipeline(transaction=transaction)
        execute = pipe.execute

        async def paused() -> Any:
            self._let_through()
            return await execute()

        pipe.execute = paused
        return pipe


changes = st.lists(
    st.one_of(posts, posts, posts, st.builds(Follow, users, users, st.integers(1, 30), st.booleans())).filter(
        lambda step: not isinstance(step, Follow) or step.follower != step.followee
    ),
    min_size=1,
    max_size=6,
)
rounds = st.lists(
    st.tuples(changes, changes, users, st.booleans(), st.lists(st.integers(0, 5), min_size=4, max_size=12)),
    min_size=2,
    max_size=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=rounds, push_below=st.sampled_from([3, 99]))
def test_writes_between_the_steps_of_a_read_never_spoil_the_next_answer(
    store: Any, rounds: list[Any], push_below: int
) -> None:
    """Each round: some changes, then a read, of an expired timeline or not, amid the writes of more."""
    store = store.fresh(SMALL)
    job = Job(store, push_below)
    log: list[Step] = [Follow(a, b, 1, True) for a in USERS for b in USERS if a != b]
    for step in log:
        for run in job.commands_of(step):
            run()
    for before, during, reader, expired, pauses in rounds:
        log += before + during
        for run in [run for step in before for run in job.commands_of(step)]:
            run()
        if expired:
            store.write(commands.drop_home, reader)
        pending = [run for step in during for run in job.commands_of(step)]
        store.run(
            lambda client, pending=pending, pauses=pauses, reader=reader: HomeReader(
                Interleaving(client, pending, pauses), store.keys, SMALL
            ).read(reader)
        )
        for run in pending:
            run()
        assert feed_of(store.read(reader)) == fold(log, reader, SMALL.length)
    for reader in USERS:
        assert feed_of(store.read(reader)) == fold(log, reader, SMALL.length)
