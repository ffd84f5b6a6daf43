"""Below the home timeline: pages of a chronological scrolling from the records.

The home timeline keeps the newest entries only. What lies below them is read from the tables by the same
definition: an original stands once, at its newest appearance among all that the reader's feed holds up to the
top of the scrolling, so that nothing shown above comes again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from records.appearances import EVERYTHING, Appearance
from serving.archive import Archive
from serving.feed.candidates import FOLLOWING, Candidates, objects
from serving.feed.query import FeedQuery
from serving.pipeline.reports import Run
from serving.pipeline.runner import Runner
from serving.pipeline.stages import Pipeline

CHUNK = 3
"""How many times the page's length is read at once: some of it will be hidden or stand above."""


@dataclass(frozen=True)
class Below:
    """Candidates of a page, newest first, and the id below which the next goes on; 0 at the end."""

    candidates: Candidates
    reached: int


async def page_below(
    runner: Runner,
    archive: Archive,
    query: FeedQuery,
    followees: Sequence[int],
    compose: Callable[[Candidates], Pipeline[FeedQuery, Candidates]],
) -> tuple[Run[FeedQuery, Candidates], int]:
    """A page of what the tables hold below ``query.below``, and the id below which the next begins, or 0.

    ``compose`` makes the pipeline of some candidates; pages that filters emptied are passed over.

    Raises:
        ArchiveUnavailableError: the records do not answer.
        PipelineError: a stage failed.
    """
    while True:
        found = await read_below(archive, query, followees)
        run = await runner.run(compose(found.candidates), query)
        if len(run.rest):
            return run, int(run.selected.appearance[-1])
        if len(run.selected) or not found.reached:
            return run, found.reached
        query = dataclasses.replace(query, below=found.reached)


async def read_below(archive: Archive, query: FeedQuery, followees: Sequence[int]) -> Below:
    """What the tables hold below ``query.below``, by the accounts followed and the reader.

    Raises:
        ArchiveUnavailableError: the records do not answer.
    """
    authors = sorted({*followees, query.reader} - query.hidden)
    below, count = min(query.below, EVERYTHING), CHUNK * query.limit + 1
    found = await archive.ask(archive.appearances.newest(authors, below, count))
    reached = found[-1].appearance_id if len(found) == count else 0
    originals = sorted({appearance.original_id for appearance in found})
    retweets = await archive.ask(
        archive.appearances.retweeters(originals, authors, min(query.top, EVERYTHING))
    )
    standing: list[Appearance] = []
    retweeters: list[tuple[int, ...]] = []
    for appearance in found:
        newer = retweets.get(appearance.original_id, [])
        newest = max((retweet for retweet, _ in newer), default=appearance.original_id)
        if newest <= appearance.appearance_id:
            standing.append(appearance)
            retweeters.append(tuple(dict.fromkeys(user for _, user in newer)))
    return Below(_candidates(standing, retweeters), reached)


def _candidates(found: Sequence[Appearance], retweeters: Sequence[tuple[int, ...]]) -> Candidates:
    return Candidates.of(
        np.array([appearance.appearance_id for appearance in found], dtype=np.int64),
        np.array([appearance.author for appearance in found], dtype=np.int64),
        np.array([appearance.original_id for appearance in found], dtype=np.int64),
        np.array([appearance.original_author for appearance in found], dtype=np.int64),
        np.array([appearance.is_retweet for appearance in found], dtype=np.bool_),
        FOLLOWING,
        retweeters=objects(retweeters),
    )
