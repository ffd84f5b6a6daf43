"""What people do, as a log: events with the topic and key that the log keeps in order."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import msgspec

from ingestion.events import (
    AnyEvent,
    BlockChanged,
    FollowChanged,
    LikeChanged,
    MuteChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.topics import route

PEOPLE, AUTHORS = range(1, 7), range(1, 5)
RESTRICTING, RESTRICTED = (1, 6), (1, 2)
"""Few pairs, so that mutes and blocks of one are made, taken back and delivered out of order."""
ACTS = ("post", "post", "follow", "follow", "retweet", "like", "delete", "mute", "block")


class FeedsLog:
    """``keys`` holds the events of each key in order, ``history`` all of them.

    Events are numbered; ``late`` ones get a number left free some events ago, in ids and times alike.
    """

    def __init__(self) -> None:
        self.keys: dict[tuple[str, bytes], list[AnyEvent]] = defaultdict(list)
        self.history: list[AnyEvent] = []
        self._number = 0
        self._free: list[int] = []

    def next_number(self, late: bool = False) -> int:
        if late and self._free:
            return self._free.pop(-min(len(self._free), 6))
        self._number += 2
        self._free.append(self._number - 1)
        return self._number

    def put(self, event: AnyEvent) -> None:
        topic, key = route(event)
        self.keys[topic.name, key].append(event)
        self.history.append(event)

    def live(self, chance: random.Random, events: int) -> None:
        """A burst of acts: steps of one event each would make histories in which hardly anything meets."""
        for _ in range(events):
            act, late, active = chance.choice(ACTS), chance.random() < 0.4, chance.random() < 0.7
            person, other = chance.choice(PEOPLE), chance.choice(AUTHORS)
            posted = [event for event in self.history if isinstance(event, TweetCreated)]
            if act == "follow":
                self.follow(person, other, active, late)
                if chance.random() < 0.3:
                    self.change_at_once(chance.choice("eg"))
            elif act in ("mute", "block"):
                change, pair = getattr(self, act), (chance.choice(RESTRICTING), chance.choice(RESTRICTED))
                change(*pair, active)
                if late:
                    change(*pair, not active, late)
            elif act == "post" or not posted:
                self.post(other, late)
            else:
                # Authors retweet, and what is new, so that a feed holds one original more than once.
                who = other if act == "retweet" else person
                self.react(act, who, chance.choice(posted[-6:]), active)

    def post(self, author: int, late: bool = False) -> None:
        number = self.next_number(late)
        self.put(TweetCreated(event_id=f"t{number}", ts=number, tweet_id=number, author_id=author, text="x"))

    def follow(self, follower: int, followee: int, active: bool = True, late: bool = False) -> None:
        ends = {"follower_id": follower, "followee_id": followee}
        self.put(FollowChanged(**self._change("f", late), **ends, active=active))

    def change_at_once(self, letter: str) -> None:
        """The last follow event's opposite in the same millisecond, which its name puts before or after."""
        last = self.history[-1]
        assert isinstance(last, FollowChanged)
        self.put(msgspec.structs.replace(last, event_id=f"{letter}{last.ts}", active=not last.active))

    def mute(self, user: int, muted: int, active: bool = True, late: bool = False) -> None:
        self.put(MuteChanged(**self._change("m", late), user_id=user, muted_id=muted, active=active))

    def block(self, user: int, blocked: int, active: bool = True, late: bool = False) -> None:
        """As the records tell it: a block comes with the end of both follows."""
        self.put(BlockChanged(**self._change("b", late), user_id=user, blocked_id=blocked, active=active))
        if active:
            self.follow(user, blocked, active=False, late=late)
            self.follow(blocked, user, active=False, late=late)

    def react(self, act: str, user: int, tweet: TweetCreated, active: bool) -> None:
        number = self.next_number()
        about = {"ts": number, "tweet_id": tweet.tweet_id, "author_id": tweet.author_id}
        if act == "like":
            self.put(LikeChanged(event_id=f"l{number}", user_id=user, active=active, **about))
        elif act == "delete":
            self.put(TweetDeleted(event_id=f"d{number}", **about))
        else:
            made = RetweetChanged(
                event_id=f"r{number}", retweet_id=number, user_id=user, active=True, **about
            )
            self.put(made)
            if not active:
                self.put(msgspec.structs.replace(made, event_id=f"u{number}", active=False))

    def _change(self, kind: str, late: bool) -> dict[str, Any]:
        number = self.next_number(late)
        return {"event_id": f"{kind}{number}", "ts": number}
