"""What is taken out of the candidates, cheapest first. Each says by its name what it removes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ingestion.muting import mutes
from serving.feed.query import Candidate, FeedQuery
from serving.pipeline.stages import Partition
from timelines.bodies import TweetBody


def _split(candidates: Sequence[Candidate], keep: Callable[[Candidate], bool]) -> Partition[Candidate]:
    kept: list[Candidate] = []
    removed: list[Candidate] = []
    for candidate in candidates:
        (kept if keep(candidate) else removed).append(candidate)
    return Partition(kept, removed)


@dataclass(frozen=True)
class AfterTop:
    """Appearances newer than the first page of this scrolling: they wait for the next visit."""

    name: str = "newer_than_first_page"

    def split(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Partition[Candidate]:
        return _split(candidates, lambda c: c.appearance_id <= query.top)


@dataclass(frozen=True)
class HiddenAccounts:
    """What was written or retweeted by accounts that the reader mutes or blocks, or that block the reader."""

    name: str = "muted_or_blocked"

    def split(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Partition[Candidate]:
        hidden = query.hidden
        return _split(candidates, lambda c: c.author not in hidden and c.original_author not in hidden)


@dataclass(frozen=True)
class Duplicates:
    """Older appearances of an original that appears more than once."""

    name: str = "duplicates"

    def split(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Partition[Candidate]:
        newest: dict[int, int] = {}
        for candidate in candidates:
            if newest.get(candidate.original_id, -1) < candidate.appearance_id:
                newest[candidate.original_id] = candidate.appearance_id
        seen: set[int] = set()

        def first(candidate: Candidate) -> bool:
            if candidate.original_id in seen or newest[candidate.original_id] != candidate.appearance_id:
                return False
            seen.add(candidate.original_id)
            return True

        return _split(candidates, first)


@dataclass(frozen=True)
class EarlierPages:
    """What earlier pages of this chronological scrolling have shown."""

    name: str = "earlier_pages"

    def split(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Partition[Candidate]:
        return _split(candidates, lambda c: c.appearance_id < query.below)


@dataclass(frozen=True)
class OwnTweets:
    """The reader's own tweets: a ranking spends no place on them."""

    name: str = "own_tweets"

    def split(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Partition[Candidate]:
        return _split(candidates, lambda c: query.reader not in (c.original_author, c.author))


@dataclass(frozen=True)
class Oldest:
    """All but the ``keep`` newest: what full ranking has no time for."""

    keep: int
    name: str = "beyond_candidate_limit"

    def split(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Partition[Candidate]:
        if len(candidates) <= self.keep:
            return Partition(candidates, ())
        newest = sorted(candidates, key=lambda c: -c.appearance_id)
        return Partition(newest[: self.keep], newest[self.keep :])


@dataclass(frozen=True)
class NotNewer:
    """What the reader has already: appearances up to ``query.since``."""

    name: str = "not_newer"

    def split(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Partition[Candidate]:
        return _split(candidates, lambda c: c.appearance_id > query.since)


@dataclass(frozen=True)
class Deleted:
    """Tombstones."""

    name: str = "deleted"

    def split(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Partition[Candidate]:
        return _split(candidates, lambda c: c.body is None or not c.body.deleted)


@dataclass(frozen=True)
class MutedWords:
    """Others' tweets with a word that the reader mutes."""

    name: str = "muted_words"

    def split(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Partition[Candidate]:
        return _split(candidates, lambda c: c.body is None or not has_muted_word(query, c.body))


def has_muted_word(query: FeedQuery, body: TweetBody) -> bool:
    """Whether the reader keeps this tweet out by its words; one's own are never kept out."""
    return body.author_id != query.reader and mutes(query.muted_words, body.text)


@dataclass(frozen=True)
class Marked:
    """What was taken for spam or fake engagement: it is not recommended."""

    name: str = "marked"

    def split(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Partition[Candidate]:
        return _split(candidates, lambda c: not c.marked)


@dataclass(frozen=True)
class BodyNotHere:
    """Tweets whose body has not arrived: it may be a tombstone, so nothing is shown until it is known."""

    name: str = "body_not_here"

    def split(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Partition[Candidate]:
        return _split(candidates, lambda c: c.body is not None or not c.body_read)
