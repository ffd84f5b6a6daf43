"""Whatever happens in whatever order, every feed equals the definition once all that was said is delivered.

Deliveries wait, come in any order and twice; timelines are dropped and rebuilt meanwhile, and reads in
between show nothing deleted and nothing of anybody who is not followed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from timelines import bodies, commands
from timelines.memory import MemoryRedis
from timelines.settings import TimelineSettings

from .test_timeline_definition import USERS, Follow, Job, Post, Step, TakeBack, feed_of, fold, posts

LENGTH = 3
EVERYTHING = 10**6

users = st.sampled_from(USERS)


class Timelines(RuleBasedStateMachine):
    """A job whose deliveries wait in ``self.waiting`` beside the log of all that was said."""

    def __init__(self, store: Any, push_below: int) -> None:
        super().__init__()
        self.store = store.fresh(TimelineSettings(length=LENGTH, slack=2))
        self.job = Job(self.store, push_below)
        self.log: list[Step] = []
        self.waiting: list[Callable[[], None]] = []
        self.deleted: set[int] = set()
        for follower in USERS:
            for followee in USERS:
                if follower != followee:
                    self._do(Follow(follower, followee, 1, True))

    def _do(self, step: Step) -> None:
        """All that a step leads to, in order; what it delivers to others waits."""
        self.log.append(step)
        todo = self.job.commands_of(step)
        pulled = isinstance(step, Follow) and step.followee in self.job.pulled
        at_once = len(todo) if pulled else 2
        for run in todo[:at_once]:
            run()
        self.waiting += todo[at_once:]

    @rule(post=posts)
    def say(self, post: Post) -> None:
        self._do(post)

    @precondition(lambda self: any(isinstance(step, Post) for step in self.log))
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        said = [step for step in self.log if isinstance(step, Post) and step.original != step.appearance]
        if said:
            post = data.draw(st.sampled_from(said))
            self._do(TakeBack(post.author, post.appearance, post.original))

    @rule(number=st.integers(0, 4))
    def delete(self, number: int) -> None:
        tweet = 2**60 + number
        self.store.write(commands.put_body, bodies.tombstone(tweet, 9))
        self.deleted.add(tweet)

    @rule(follower=users, followee=users, ts=st.integers(1, 30), active=st.booleans())
    def follow_or_unfollow(self, follower: int, followee: int, ts: int, active: bool) -> None:
        if follower != followee:
            self._do(Follow(follower, followee, ts, active))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), twice=st.booleans())
    def deliver_one(self, data: st.DataObject, twice: bool) -> None:
        at = data.draw(st.integers(0, len(self.waiting) - 1))
        run = self.waiting[at] if twice else self.waiting.pop(at)
        run()

    @rule(reader=users)
    def drop(self, reader: int) -> None:
        self.store.write(commands.drop_home, reader)

    @rule(reader=users, part=st.sampled_from(["home", "home_tail", "rebuild_lease"]))
    def lose_a_string(self, reader: int, part: str) -> None:
        self.store.client.delete(getattr(self.store.keys, part)(reader))

    @rule(reader=users)
    def read(self, reader: int) -> None:
        shown = {original for original, _ in self._feed(reader)}
        said = [step for step in self.log if not isinstance(step, TakeBack)]  # that one is told like a tweet
        assert shown <= {original for original, _ in fold(said, reader, EVERYTHING)} - self.deleted

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        for run in data.draw(st.permutations(self.waiting)):
            run()
        self.waiting.clear()
        for reader in USERS:
            expected = [item for item in fold(self.log, reader, LENGTH) if item[0] not in self.deleted]
            assert self._feed(reader) == expected

    def _feed(self, reader: int) -> list[tuple[int, list[int]]]:
        return [item for item in feed_of(self.store.read(reader)) if not self._is_deleted(item[0])]

    def _is_deleted(self, tweet: int) -> bool:
        body = bodies.decode_body(self.store.client.get(self.store.keys.tweet(tweet)))
        return body is not None and body.deleted


def test_every_settled_feed_equals_the_definition(store: Any) -> None:
    quick = isinstance(store.client, MemoryRedis)
    for push_below in (3, 99):
        run_state_machine_as_test(
            lambda push_below=push_below: Timelines(store, push_below),
            settings=settings(
                max_examples=30 if quick else 5,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
