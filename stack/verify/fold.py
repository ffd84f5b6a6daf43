"""The feeds that a log of events means, by a plain fold: dictionaries and sorting, nothing of the store.

Events of one entity are ordered by (ts, event id) and the last wins. A reader's feed is made of the newest
``length`` appearances, by id, of tweets and retweets by the accounts followed and by the reader. Of these,
retweets taken back, tweets deleted and originals that were never posted are left out, and what is left is
shown once per original, at its newest appearance, with those who retweeted it, newest first. Nothing is shown
of accounts that the reader mutes or blocks or that block the reader, nor others' tweets with a muted word.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from ingestion.events import (
    AnyEvent,
    BlockChanged,
    FollowChanged,
    MuteChanged,
    MutedWordsChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.muting import mutes


@dataclass(frozen=True, slots=True)
class Item:
    """One tweet of a feed and who retweeted it, newest first."""

    tweet_id: int
    retweeted_by: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    order: tuple[int, str]
    active: bool


def _change(edges: dict[int, _Change], target: int, order: tuple[int, str], active: bool) -> None:
    known = edges.get(target)
    if known is None or order > known.order:
        edges[target] = _Change(order, active)


def _active(edges: dict[int, _Change]) -> set[int]:
    return {target for target, change in edges.items() if change.active}


@dataclass
class FeedFold:
    """Takes events in any order, any number of times."""

    _follows: dict[int, dict[int, _Change]] = field(default_factory=lambda: defaultdict(dict))
    _mutes: dict[int, dict[int, _Change]] = field(default_factory=lambda: defaultdict(dict))
    _blocks: dict[int, dict[int, _Change]] = field(default_factory=lambda: defaultdict(dict))
    _words: dict[int, tuple[tuple[int, str], tuple[str, ...]]] = field(default_factory=dict)
    _texts: dict[int, tuple[int, str | None]] = field(default_factory=dict)
    _made: dict[int, dict[int, tuple[int, bool]]] = field(default_factory=lambda: defaultdict(dict))
    _taken_back: set[int] = field(default_factory=set)
    _posted: set[int] = field(default_factory=set)
    _deleted: set[int] = field(default_factory=set)
    _newest: dict[int, list[tuple[int, int, int, bool]]] = field(default_factory=dict)

    def apply(self, event: AnyEvent) -> None:
        """Take one event; those that no feed depends on are passed over."""
        match event:
            case FollowChanged(follower_id=follower, followee_id=followee):
                _change(self._follows[follower], followee, event.order, event.active)
            case MuteChanged(user_id=user, muted_id=muted):
                _change(self._mutes[user], muted, event.order, event.active)
            case BlockChanged(user_id=user, blocked_id=blocked):
                _change(self._blocks[user], blocked, event.order, event.active)
            case MutedWordsChanged(user_id=user):
                if user not in self._words or event.order > self._words[user][0]:
                    self._words[user] = (event.order, event.words)
            case TweetCreated(tweet_id=tweet, author_id=author):
                self.know(event)
                self._add(author, tweet, tweet, is_retweet=False)
            case TweetDeleted():
                self.know(event)
            case RetweetChanged(retweet_id=retweet, user_id=user, tweet_id=tweet):
                self.know(event)
                self._add(user, retweet, tweet, is_retweet=True)

    def know(self, event: AnyEvent) -> None:
        """Take what an event says of a tweet or retweet, which does not appear in feeds by itself."""
        match event:
            case TweetCreated(tweet_id=tweet, author_id=author):
                self._posted.add(tweet)
                self._texts[tweet] = (author, event.text)
            case TweetDeleted(tweet_id=tweet):
                self._deleted.add(tweet)
            case RetweetChanged(retweet_id=retweet, active=False):
                self._taken_back.add(retweet)

    def apply_all(self, events: Iterable[AnyEvent]) -> None:
        for event in events:
            self.apply(event)

    def _add(self, author: int, appearance: int, original: int, *, is_retweet: bool) -> None:
        self._made[author][appearance] = (original, is_retweet)
        self._newest.pop(author, None)

    @property
    def viewers(self) -> list[int]:
        """Everybody who ever followed somebody."""
        return sorted(self._follows)

    def followees(self, reader: int) -> list[int]:
        return list(_active(self._follows.get(reader, {})))

    def authors_with_followers(self, at_least: int) -> int:
        """How many accounts have that many followers or more."""
        followers: dict[int, int] = defaultdict(int)
        for edges in self._follows.values():
            for followee, change in edges.items():
                followers[followee] += change.active
        return sum(count >= at_least for count in followers.values())

    def appearances(self, reader: int) -> int:
        """How many appearances there are for a reader, without any limit."""
        return sum(len(self._made.get(author, ())) for author in {*self.followees(reader), reader})

    def feed(self, reader: int, length: int) -> list[Item]:
        """The reader's feed in the order in which it is shown."""
        authors = {*self.followees(reader), reader}
        lists = [self._newest_of(author, length) for author in authors]
        hidden = self._hidden(reader)
        feed: dict[int, dict[int, None]] = {}
        for appearance, author, original, is_retweet in islice(heapq.merge(*lists, reverse=True), length):
            gone = appearance in self._taken_back or original in self._deleted or original not in self._posted
            if not (gone or author in hidden or self._kept_out(reader, original, hidden)):
                retweeters = feed.setdefault(original, {})
                if is_retweet:
                    retweeters.setdefault(author)
        return [Item(original, tuple(retweeters)) for original, retweeters in feed.items()]

    def _hidden(self, reader: int) -> set[int]:
        hidden = _active(self._mutes.get(reader, {})) | _active(self._blocks.get(reader, {}))
        return hidden | {user for user, edges in self._blocks.items() if reader in _active(edges)}

    def _kept_out(self, reader: int, original: int, hidden: set[int]) -> bool:
        author, text = self._texts[original]
        words = self._words.get(reader, ((), ()))[1]
        return author in hidden or (author != reader and mutes(words, text))

    def _newest_of(self, author: int, length: int) -> list[tuple[int, int, int, bool]]:
        known = self._newest.get(author)
        if known is None:
            made = self._made.get(author, {})
            known = [
                (appearance, author, *made[appearance]) for appearance in sorted(made, reverse=True)[:length]
            ]
            self._newest[author] = known
        return known
