"""The feed, composed: which stages run, in which order. Cheap filters come before dear lookups.

| filter | removes |
|---|---|
| newer_than_first_page | what arrived since this scrolling began |
| muted_or_blocked | tweets and retweets of accounts the reader mutes or blocks, or that block the reader |
| duplicates | older appearances of an original that appears more than once |
| earlier_pages | what this scrolling has shown |
| own_tweets | the reader's own tweets and retweets (ranked only) |
| beyond_candidate_limit | all but the newest candidates (ranked only) |
| marked | what the `safety` job or a person limited or quarantined (ranked only) |
| deleted | tombstones |
| body_not_here | tweets whose body has not arrived yet |
| muted_words | others' tweets with a word the reader mutes |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from serving.archive import Archive, ArchiveReads
from serving.feed.features import Features
from serving.feed.filters import (
    AfterTop,
    BodyNotHere,
    Deleted,
    Duplicates,
    EarlierPages,
    HiddenAccounts,
    Marked,
    MutedWords,
    NotNewer,
    Oldest,
    OwnTweets,
)
from serving.feed.hydrators import Bodies, BodiesForPage, Counts, Marks, People, Restrictions, Viewer
from serving.feed.query import Candidate, FeedQuery
from serving.feed.scoring import AsRanked, BestFirst, Heads, NewestFirst
from serving.feed.snapshot import KeptRanking, Snapshot
from serving.feed.sources import Given, Home
from serving.pipeline.stages import Pipeline, Together
from serving.reads import Reads
from timelines.home import HomeReader
from timelines.keys import Keyspace
from training.bundle import Bundle

FeedPipeline = Pipeline[FeedQuery, Candidate]


@dataclass(frozen=True)
class Stores:
    """What the stages read from: an asyncio redis-py client that does not decode, and its keys."""

    redis: Any
    keys: Keyspace
    home: HomeReader
    archive: Archive | None = None

    @property
    def reads(self) -> Reads:
        return Reads(self.redis, self.keys, self.archive)


def chronological(stores: Stores) -> FeedPipeline:
    """Every tweet of the home timeline, newest first."""
    return Pipeline(
        "chronological",
        sources=(Home(stores.home),),
        query_hydrators=(Restrictions(stores.reads),),
        steps=(
            AfterTop(),
            HiddenAccounts(),
            Duplicates(),
            EarlierPages(),
            Together((BodiesForPage(stores.reads),)),
            Deleted(),
            BodyNotHere(),
            MutedWords(),
        ),
        selector=NewestFirst(),
        page_steps=_page(stores),
    )


def from_records(stores: Stores, candidates: Sequence[Candidate]) -> FeedPipeline:
    """A page below the home timeline, of candidates each at its newest appearance; the query is hydrated."""
    return Pipeline(
        "records",
        sources=(Given(candidates),),
        steps=(
            HiddenAccounts(),
            Together((BodiesForPage(stores.reads),)),
            Deleted(),
            BodyNotHere(),
            MutedWords(),
        ),
        selector=NewestFirst(),
        page_steps=_page(stores),
    )


def last_rung(reads: ArchiveReads, candidates: Sequence[Candidate]) -> FeedPipeline:
    """A page from the records alone: without counts; the query is hydrated."""
    return Pipeline(
        "last_rung",
        sources=(Given(candidates),),
        steps=(HiddenAccounts(), Together((Bodies(reads),)), Deleted(), BodyNotHere(), MutedWords()),
        selector=NewestFirst(),
        page_steps=(Together((People(reads),)),),
    )


def newer(stores: Stores) -> FeedPipeline:
    """What has appeared since ``query.since``, newest first."""
    return Pipeline(
        "newer",
        sources=(Home(stores.home),),
        query_hydrators=(Restrictions(stores.reads),),
        steps=(
            HiddenAccounts(),
            Duplicates(),
            NotNewer(),
            Together((Bodies(stores.reads),)),
            Deleted(),
            BodyNotHere(),
            MutedWords(),
        ),
        selector=NewestFirst(),
        page_steps=_page(stores),
    )


def ranked(
    stores: Stores, bundle: Bundle, candidates: int, count_missing: Callable[[str, int], None]
) -> FeedPipeline:
    """The newest ``candidates`` of the home timeline, best first."""
    return Pipeline(
        "ranked",
        sources=(Home(stores.home),),
        query_hydrators=(Restrictions(stores.reads),),
        steps=(
            HiddenAccounts(),
            Duplicates(),
            OwnTweets(),
            Oldest(candidates),
            Together((Bodies(stores.reads), Marks(stores.reads))),
            Marked(),
            Deleted(),
            BodyNotHere(),
            MutedWords(),
            Together((Features(stores.redis, stores.keys, count_missing),)),
        ),
        scorers=(Heads(bundle),),
        selector=BestFirst(),
        page_steps=_page(stores),
    )


def ranked_scroll(stores: Stores, snapshot: Snapshot) -> FeedPipeline:
    """A later page of a kept ranking."""
    return Pipeline(
        "ranked_scroll",
        sources=(KeptRanking(snapshot),),
        query_hydrators=(Restrictions(stores.reads),),
        steps=(
            HiddenAccounts(),
            Together((BodiesForPage(stores.reads), Marks(stores.reads))),
            Marked(),
            Deleted(),
            BodyNotHere(),
            MutedWords(),
        ),
        selector=AsRanked(),
        page_steps=_page(stores),
    )


def _page(stores: Stores) -> tuple[Together[FeedQuery, Candidate], ...]:
    return (Together((People(stores.reads), Counts(stores.reads), Viewer(stores.reads))),)
