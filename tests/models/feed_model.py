"""The definition of a feed, and of likes, by dictionaries: what a log of events means."""

from __future__ import annotations

from collections import defaultdict

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

Edge = FollowChanged | LikeChanged | MuteChanged | BlockChanged


class FeedModel:
    """The definition: followees' and own newest appearances by id, less what was taken back or deleted and
    what is by, or repeats, somebody muted, blocked or blocking; each original at its newest appearance."""

    def __init__(self, log: list[AnyEvent], length: int) -> None:
        self._length = length
        self._edges: dict[tuple[type[Edge], int, int], Edge] = {}
        self._made: dict[int, dict[int, int]] = defaultdict(dict)
        self._written_by: dict[int, int] = {}
        self._withdrawn: set[int] = set()
        self._deleted: set[int] = set()
        for event in log:
            self._apply(event)

    def _apply(self, event: AnyEvent) -> None:
        match event:
            case FollowChanged():
                self._change(event, event.follower_id, event.followee_id)
            case LikeChanged():
                self._change(event, event.user_id, event.tweet_id)
            case MuteChanged():
                self._change(event, event.user_id, event.muted_id)
            case BlockChanged():
                self._change(event, event.user_id, event.blocked_id)
            case TweetCreated():
                self._made[event.author_id][event.tweet_id] = event.tweet_id
                self._written_by[event.tweet_id] = event.author_id
            case RetweetChanged():
                self._made[event.user_id][event.retweet_id] = event.tweet_id
                if not event.active:
                    self._withdrawn.add(event.retweet_id)
            case TweetDeleted():
                self._deleted.add(event.tweet_id)

    def _change(self, event: Edge, subject: int, target: int) -> None:
        edge = (type(event), subject, target)
        if edge not in self._edges or event.order > self._edges[edge].order:
            self._edges[edge] = event

    def feed(self, reader: int) -> list[int]:
        """The appearances that are shown, newest first."""
        hidden, made_by = self.hidden(reader), dict[int, int]()
        for author in self._active(FollowChanged, reader) | {reader}:
            made_by.update(dict.fromkeys(self._made[author], author))
        shown, originals = list[int](), set[int]()
        for appearance in sorted(made_by, reverse=True)[: self._length]:
            original = self._made[made_by[appearance]][appearance]
            if appearance in self._withdrawn or original in self._deleted or original in originals:
                continue
            if made_by[appearance] not in hidden and self._written_by[original] not in hidden:
                originals.add(original)
                shown.append(appearance)
        return shown

    def hidden(self, reader: int) -> set[int]:
        """Whom the reader mutes or blocks, and who blocks the reader."""
        blocking = {
            subject
            for (kind, subject, target), edge in self._edges.items()
            if kind is BlockChanged and target == reader and edge.active
        }
        return self._active(MuteChanged, reader) | self._active(BlockChanged, reader) | blocking

    def likes(self, user: int) -> set[int]:
        return self._active(LikeChanged, user)

    def _active(self, wanted: type[Edge], subject: int) -> set[int]:
        return {
            target
            for (kind, who, target), edge in self._edges.items()
            if kind is wanted and who == subject and edge.active
        }
