"""The feed, composed: which stages run, in which order. Cheap filters come before dear lookups.

| filter | removes |
|---|---|
| newer_than_first_page | what arrived since this scrolling began |
| muted_or_blocked | tweets and retweets of accounts the reader mutes or blocks, or that block the reader |
| duplicates | older appearances of an original that appears more than once |
| earlier_pages | what this scrolling has shown |
| unfollowed | what came by accounts that the reader follows no longer (later pages of a ranking) |
| ranked_above | what the ranking above has shown (below a ranking only) |
| own_tweets | the reader's own tweets and retweets (ranked only) |
| seen | what the reader has seen lately (ranked only) |
| served | what the reader was given lately, unless less than a page is left (ranked only) |
| beyond_candidate_limit | the oldest of the accounts followed, where there are too many (ranked only) |
| marked | what the `safety` job or a person limited or quarantined (ranked only) |
| deleted | tombstones |
| body_not_here | tweets whose body has not arrived yet |
| followers_only | followers-only tweets of accounts the reader does not follow (ranked only) |
| too_old | tweets made too long ago (ranked only) |
| muted_words | others' tweets with a word the reader mutes |
| conversation_duplicates | replies to a tweet that is here, or to one with a newer reply (ranked only) |
| pruned_by_light_ranker | all but the best by the light ranker (full rung only) |
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from serving.archive import Archive, ArchiveReads
from serving.experiments.assignment import Treatment
from serving.feed.by_policy import BalancedPage, Multiplied
from serving.feed.candidates import Candidates, SourceName, joined
from serving.feed.features import Features
from serving.feed.filters import (
    AfterTop,
    BodyNotHere,
    Conversations,
    Deleted,
    Duplicates,
    EarlierPages,
    FollowersOnly,
    HiddenAccounts,
    Marked,
    MutedWords,
    NotNewer,
    Oldest,
    OwnTweets,
    PrunedByLightRanker,
    Ranked,
    Seen,
    Served,
    TooOld,
    Unfollowed,
)
from serving.feed.hydrators import Bodies, BodiesForPage, Counts, Lately, Marks, People, Restrictions, Viewer
from serving.feed.ladder import HeadsClock, RankedRung
from serving.feed.out_of_network import Popular, Trending, TwoHop
from serving.feed.query import FeedQuery
from serving.feed.scoring import AsRanked, Heads, LightRanker, LightScores, NewestFirst
from serving.feed.shared import Shared, SharedReads
from serving.feed.similar import Similar
from serving.feed.snapshot import KeepRanking, KeptRanking, Snapshot, Snapshots
from serving.feed.sources import Given, Home, ReadHome
from serving.pipeline.stages import Filter, Pipeline, Scorer, Source, Together
from serving.reads import Reads
from timelines.home import HomeReader
from timelines.keys import Keyspace
from training.bundle import Bundle

FeedPipeline = Pipeline[FeedQuery, Candidates]
Step = Filter[FeedQuery, Candidates] | Together[FeedQuery, Candidates]


@dataclass(frozen=True)
class Stores:
    """What the stages read from: an asyncio redis-py client that does not decode, and its keys.

    ``shared`` is what is the same for many readers; without it a ranking has the home timeline alone.
    """

    redis: Any
    keys: Keyspace
    home: HomeReader
    archive: Archive | None = None
    shared: Shared | None = None

    @property
    def reads(self) -> Reads:
        return Reads(self.redis, self.keys, self.archive)


@dataclass(frozen=True)
class Ranking:
    """What one ranking spends and with which model.

    ``candidates`` are looked up and, where ``heads`` are fewer, pruned to so many by the light ranker; no
    ``heads`` at all: the light ranker's order is the answer. ``version`` is the model's,
    ``treatment`` what else the reader's arm has.
    """

    bundle: Bundle = field(repr=False)
    version: str
    treatment: Treatment
    rung: RankedRung
    candidates: int
    heads: int
    heads_clock: HeadsClock = field(repr=False)
    seconds: Callable[[], float] = field(repr=False)


def chronological(stores: Stores) -> FeedPipeline:
    """Every tweet of the home timeline, newest first."""
    return Pipeline(
        "chronological",
        joined,
        sources=(Home(),),
        query_hydrators=(ReadHome(stores.home), Restrictions(stores.reads)),
        steps=(
            AfterTop(),
            HiddenAccounts(),
            Duplicates(),
            EarlierPages(),
            Ranked(),
            Together((BodiesForPage(stores.reads),)),
            Deleted(),
            BodyNotHere(),
            MutedWords(),
        ),
        selector=NewestFirst(),
        page_steps=_page(stores),
    )


def from_records(stores: Stores, candidates: Candidates) -> FeedPipeline:
    """A page below the home timeline, of candidates each at its newest appearance; the query is hydrated."""
    return Pipeline(
        "records",
        joined,
        sources=(Given(candidates),),
        steps=(
            HiddenAccounts(),
            Ranked(),
            Together((BodiesForPage(stores.reads),)),
            Deleted(),
            BodyNotHere(),
            MutedWords(),
        ),
        selector=NewestFirst(),
        page_steps=_page(stores),
    )


def last_rung(reads: ArchiveReads, candidates: Candidates) -> FeedPipeline:
    """A page from the records alone: without counts; the query is hydrated."""
    return Pipeline(
        "last_rung",
        joined,
        sources=(Given(candidates),),
        steps=(
            HiddenAccounts(),
            Ranked(),
            Together((Bodies(reads),)),
            Deleted(),
            BodyNotHere(),
            MutedWords(),
        ),
        selector=NewestFirst(),
        page_steps=(Together((People(reads),)),),
    )


def newer(stores: Stores) -> FeedPipeline:
    """What has appeared since ``query.since``, newest first."""
    return Pipeline(
        "newer",
        joined,
        sources=(Home(),),
        query_hydrators=(ReadHome(stores.home), Restrictions(stores.reads)),
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
    stores: Stores, ranking: Ranking, snapshots: Snapshots, count_missing: Callable[[str, int], None]
) -> FeedPipeline:
    """Candidates of accounts followed and of others, best first."""
    treatment = ranking.treatment
    policy = treatment.policy
    prune, scorers = _scoring(ranking)
    return Pipeline(
        "ranked",
        joined,
        sources=_sources(stores, treatment.sources),
        query_hydrators=(ReadHome(stores.home), Restrictions(stores.reads), Lately(stores.reads)),
        steps=(
            HiddenAccounts(),
            Duplicates(),
            OwnTweets(),
            Seen(policy.memory.seen_hours),
            Served(policy.memory.served_minutes),
            Oldest(ranking.candidates, policy.network.out_of_network),
            Together((Bodies(stores.reads), Marks(stores.reads))),
            Marked(),
            Deleted(),
            BodyNotHere(),
            FollowersOnly(),
            TooOld(policy.age.max_hours),
            MutedWords(),
            Conversations(),
            Together((Features(stores.redis, stores.keys, count_missing),)),
            *prune,
        ),
        scorers=scorers,
        adjustments=(Multiplied(policy),),
        selector=BalancedPage(policy),
        page_steps=_page(stores),
        keepers=(KeepRanking(snapshots, ranking.version, treatment, ranking.rung),),
    )


def popular_now(stores: Stores, shared: Shared) -> FeedPipeline:
    """What is popular now, as it stands: for who follows nobody, where nothing can be ranked."""
    return Pipeline(
        "popular_now",
        joined,
        sources=(Trending(stores.reads, shared.popular, shared.terms), Popular(shared.popular)),
        query_hydrators=(ReadHome(stores.home), Restrictions(stores.reads)),
        steps=(
            HiddenAccounts(),
            Duplicates(),
            Together((Bodies(stores.reads), Marks(stores.reads))),
            Marked(),
            Deleted(),
            BodyNotHere(),
            FollowersOnly(),
            MutedWords(),
        ),
        selector=AsRanked(),
        page_steps=_page(stores),
    )


def ranked_scroll(stores: Stores, snapshot: Snapshot) -> FeedPipeline:
    """A later page of a kept ranking, by what holds now: whom the reader follows, blocks, what is marked."""
    return Pipeline(
        "ranked_scroll",
        joined,
        sources=(KeptRanking(snapshot),),
        query_hydrators=(ReadHome(stores.home), Restrictions(stores.reads)),
        steps=(
            HiddenAccounts(),
            Unfollowed(),
            # All of them: what a later filter takes out must not let one through that was not looked up.
            Together((Bodies(stores.reads), Marks(stores.reads))),
            Marked(),
            Deleted(),
            BodyNotHere(),
            FollowersOnly(),
            MutedWords(),
        ),
        selector=AsRanked(),
        page_steps=_page(stores),
    )


def _sources(stores: Stores, wanted: Collection[SourceName]) -> tuple[Source[FeedQuery, Candidates], ...]:
    """Where the candidates of a ranking come from; of one tweet from two sources the first one's stays."""
    if stores.shared is None:
        return (Home(wanted),)
    popular, terms = stores.shared.popular, stores.shared.terms
    others = (
        TwoHop(stores.reads),
        Similar(stores.reads, stores.shared.by_topic),
        Trending(stores.reads, popular, terms),
        Popular(popular),
    )
    return (Home(wanted), *(source for source in others if source.name in wanted))


def _scoring(ranking: Ranking) -> tuple[tuple[Step, ...], tuple[Scorer[FeedQuery, Candidates], ...]]:
    """How candidates are pruned, and what scores the rest: first choice, and what takes over from it."""
    heads = Heads(ranking.bundle, ranking.heads_clock, ranking.seconds)
    if ranking.bundle.light is None:
        return (), (heads,)
    light = Together[FeedQuery, Candidates]((LightRanker(ranking.bundle),))
    if not ranking.heads:
        return (light,), (LightScores(),)
    return (light, PrunedByLightRanker(ranking.heads, ranking.treatment.policy.network.out_of_network)), (
        heads,
        LightScores(),
    )


def _page(stores: Stores) -> tuple[Together[FeedQuery, Candidates], ...]:
    reads = stores.reads
    shown = reads if stores.shared is None else SharedReads(reads, stores.shared)
    return (Together((People(shown), Counts(shown), Viewer(reads))),)
