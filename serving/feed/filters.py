"""What is taken out of the candidates, cheapest first. Each says by its name what it removes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ingestion.muting import mutes
from serving.feed.candidates import Candidates
from serving.feed.query import FeedQuery
from serving.pipeline.selection import best_first
from serving.pipeline.stages import Mask, Rows
from timelines.bodies import TweetBody
from timelines.durations import HOUR_MS, MINUTE_MS
from timelines.entry import Ids
from timelines.lately import Records


@dataclass(frozen=True)
class AfterTop:
    """Appearances newer than the first page of this scrolling: they wait for the next visit."""

    name: str = "newer_than_first_page"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        return np.asarray(candidates.appearance <= query.top)


@dataclass(frozen=True)
class HiddenAccounts:
    """What was written or retweeted by accounts that the reader mutes or blocks, or that block the reader."""

    name: str = "muted_or_blocked"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        if not query.hidden:
            return _all(candidates)
        hidden = np.fromiter(query.hidden, dtype=np.int64)
        return ~(np.isin(candidates.author, hidden) | np.isin(candidates.original_author, hidden))


@dataclass(frozen=True)
class Duplicates:
    """Older appearances of an original that appears more than once."""

    name: str = "duplicates"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        newest_first = np.argsort(-candidates.appearance, kind="stable")
        _, first = np.unique(candidates.original[newest_first], return_index=True)
        return _only(len(candidates), newest_first[first])


@dataclass(frozen=True)
class EarlierPages:
    """What earlier pages of this chronological scrolling have shown."""

    name: str = "earlier_pages"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        return np.asarray(candidates.appearance < query.below)


@dataclass(frozen=True)
class Ranked:
    """What the ranking above this page has shown."""

    name: str = "ranked_above"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        return _absent(candidates.original, query.ranked)


@dataclass(frozen=True)
class OwnTweets:
    """The reader's own tweets: a ranking spends no place on them."""

    name: str = "own_tweets"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        return np.asarray((candidates.original_author != query.reader) & (candidates.author != query.reader))


@dataclass(frozen=True)
class Oldest:
    """All but the newest ``most``; accounts not followed keep ``share`` of the room, or what is left."""

    most: int
    share: float
    name: str = "beyond_candidate_limit"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        return _fitting(candidates, np.argsort(-candidates.appearance), self.most, self.share)


@dataclass(frozen=True)
class PrunedByLightRanker:
    """All but the ``best`` by the light ranker; the heads' time is shared out as by ``Oldest``."""

    best: int
    share: float
    name: str = "pruned_by_light_ranker"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        order = best_first(candidates.light, candidates.appearance)
        return _fitting(candidates, order, self.best, self.share)


@dataclass(frozen=True)
class Unfollowed:
    """What came by accounts that the reader has unfollowed since."""

    name: str = "unfollowed"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        known = np.isin(candidates.author, query.followees) | (candidates.author == query.reader)
        return np.asarray(known | candidates.out_of_network())


@dataclass(frozen=True)
class TooOld:
    """Tweets made more than ``hours`` ago, on whichever day they were retweeted."""

    hours: float
    name: str = "too_old"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        oldest = query.now_ms - int(self.hours * HOUR_MS)
        return np.asarray((candidates.created_at < 0) | (candidates.created_at >= oldest))


@dataclass(frozen=True)
class Seen:
    """What the reader has seen in the last ``hours``, as the client reported."""

    hours: float
    name: str = "seen"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        return _absent(candidates.original, _since(query.seen, query.now_ms - int(self.hours * HOUR_MS)))


@dataclass(frozen=True)
class Served:
    """What the reader was given in the last ``minutes``; the longest ago fill a page that lacks some."""

    minutes: float
    name: str = "served"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        records = query.served[query.served["at_ms"] > query.now_ms - int(self.minutes * MINUTE_MS)]
        mask = _absent(candidates.original, records["original"])
        lacking = query.limit - int(np.count_nonzero(mask))
        if lacking > 0 and len(records):
            last = dict(zip(records["original"].tolist(), records["at_ms"].tolist(), strict=True))
            again = np.flatnonzero(~mask)
            served_at = np.array([last[original] for original in candidates.original[again].tolist()])
            mask[again[np.argsort(served_at, kind="stable")[:lacking]]] = True
        return mask


@dataclass(frozen=True)
class NotNewer:
    """What the reader has already: appearances up to ``query.since``."""

    name: str = "not_newer"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        return candidates.appearance > query.since


@dataclass(frozen=True)
class Deleted:
    """Tombstones."""

    name: str = "deleted"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        return _bodies(candidates, lambda body: not body.deleted)


@dataclass(frozen=True)
class FollowersOnly:
    """Followers-only tweets of accounts the reader does not follow."""

    name: str = "followers_only"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        public = _bodies(candidates, lambda body: body.visibility != "followers")
        if public.all():
            return public
        followed = np.isin(candidates.original_author, query.followees)
        return np.asarray(public | followed | (candidates.original_author == query.reader))


@dataclass(frozen=True)
class MutedWords:
    """Others' tweets with a word that the reader mutes."""

    name: str = "muted_words"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        if not query.muted_words:
            return _all(candidates)
        return _bodies(candidates, lambda body: not has_muted_word(query, body))


@dataclass(frozen=True)
class Marked:
    """What was taken for spam or fake engagement: it is not recommended."""

    name: str = "marked"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        return ~candidates.marked


@dataclass(frozen=True)
class BodyNotHere:
    """Tweets whose body has not arrived: it may be a tombstone, so nothing is shown until it is known."""

    name: str = "body_not_here"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        here = ~candidates.body_read
        read = np.flatnonzero(candidates.body_read)
        here[read] = [body is not None for body in candidates.body[read].tolist()]
        return here


@dataclass(frozen=True)
class Conversations:
    """All but the newest of several replies to one tweet, and replies to a tweet that is here itself."""

    name: str = "conversation_duplicates"

    def keep(self, query: FeedQuery, candidates: Candidates) -> Mask:
        roots = np.fromiter(
            (0 if body is None else body.in_reply_to or 0 for body in candidates.body), dtype=np.int64
        )
        replies = np.flatnonzero(roots)
        if not len(replies):
            return _all(candidates)
        newest_first = replies[np.argsort(-candidates.appearance[replies], kind="stable")]
        _, first = np.unique(roots[newest_first], return_index=True)
        mask = roots == 0
        mask[newest_first[first]] = True
        return np.asarray(mask & ~np.isin(roots, candidates.original))


def has_muted_word(query: FeedQuery, body: TweetBody) -> bool:
    """Whether the reader keeps this tweet out by its words; one's own are never kept out."""
    return body.author_id != query.reader and mutes(query.muted_words, body.text)


def _all(candidates: Candidates) -> Mask:
    return np.ones(len(candidates), dtype=np.bool_)


def _fitting(candidates: Candidates, order: Rows, most: int, share: float) -> Mask:
    """The first ``most`` in this order, of which accounts not followed get their share, and unused room."""
    if len(candidates) <= most:
        return _all(candidates)
    outside = candidates.out_of_network()[order]
    strangers, followed = order[outside], order[~outside]
    room = max(int(share * most), most - len(followed))
    kept = strangers[:room]
    return _only(len(candidates), np.concatenate((kept, followed[: most - len(kept)])))


def _only(count: int, rows: Rows) -> Mask:
    mask = np.zeros(count, dtype=np.bool_)
    mask[rows] = True
    return mask


def _bodies(candidates: Candidates, keep: Callable[[TweetBody], bool]) -> Mask:
    """Judges those whose body is known; the others stay."""
    mask = _all(candidates)
    read = np.flatnonzero(candidates.body_read)
    mask[read] = [body is None or keep(body) for body in candidates.body[read].tolist()]
    return mask


def _since(records: Records, at_ms: int) -> Ids:
    """The originals of the records that are younger."""
    return np.asarray(records["original"][records["at_ms"] > at_ms])


def _absent(ids: Ids, among: Ids) -> Mask:
    return np.isin(ids, among, invert=True)
