"""The definition of a feed, and of likes, by dictionaries: what a log of events means."""

from __future__ import annotations

from collections import defaultdict

from ingestion.events import AnyEvent, FollowChanged, LikeChanged, RetweetChanged, TweetCreated, TweetDeleted


class FeedModel:
    """The definition: followees' and own newest appearances by id, less what was taken back or deleted."""

    def __init__(self, log: list[AnyEvent], length: int) -> None:
        self._length = length
        self._edges: dict[tuple[int, int], FollowChanged] = {}
        self._likes: dict[tuple[int, int], LikeChanged] = {}
        self._made: dict[int, dict[int, int]] = defaultdict(dict)
        self._withdrawn: set[int] = set()
        self._deleted: set[int] = set()
        for event in log:
            self._apply(event)

    def _apply(self, event: AnyEvent) -> None:
        match event:
            case FollowChanged():
                edge = (event.follower_id, event.followee_id)
                if edge not in self._edges or event.order > self._edges[edge].order:
                    self._edges[edge] = event
            case LikeChanged():
                liked = (event.user_id, event.tweet_id)
                if liked not in self._likes or event.order > self._likes[liked].order:
                    self._likes[liked] = event
            case TweetCreated():
                self._made[event.author_id][event.tweet_id] = event.tweet_id
            case RetweetChanged():
                self._made[event.user_id][event.retweet_id] = event.tweet_id
                if not event.active:
                    self._withdrawn.add(event.retweet_id)
            case TweetDeleted():
                self._deleted.add(event.tweet_id)

    def feed(self, reader: int) -> list[int]:
        followed = {
            followee for (who, followee), edge in self._edges.items() if who == reader and edge.active
        }
        made = {a: t for author in followed | {reader} for a, t in self._made[author].items()}
        newest = sorted(made, reverse=True)[: self._length]
        return [a for a in newest if a not in self._withdrawn and made[a] not in self._deleted]

    def likes(self, user: int) -> set[int]:
        return {tweet for (who, tweet), like in self._likes.items() if who == user and like.active}
