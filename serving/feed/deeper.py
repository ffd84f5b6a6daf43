"""Below the home timeline: pages of a chronological scrolling from the records.

The home timeline keeps the newest entries only. What lies below them is read from the tables by the same
definition: an original stands once, at its newest appearance among all that the reader's feed holds up to the
top of the scrolling, so that nothing shown above comes again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from records.appearances import EVERYTHING, Appearance
from serving.archive import Archive
from serving.feed.query import Candidate, FeedQuery
from serving.pipeline.reports import Run
from serving.pipeline.runner import Runner
from serving.pipeline.stages import Pipeline

CHUNK = 3
"""How many times the page's length is read at once: some of it will be hidden or stand above."""


@dataclass(frozen=True)
class Below:
    """Candidates of a page, newest first, and the id below which the next goes on; 0 at the end."""

    candidates: Sequence[Candidate]
    reached: int


async def page_below(
    runner: Runner,
    archive: Archive,
    query: FeedQuery,
    followees: Sequence[int],
    compose: Callable[[Sequence[Candidate]], Pipeline[FeedQuery, Candidate]],
) -> tuple[Run[FeedQuery, Candidate], int]:
    """A page of what the tables hold below ``query.below``, and the id below which the next begins, or 0.

    ``compose`` makes the pipeline of some candidates; pages that filters emptied are passed over.

    Raises:
        ArchiveUnavailableError: the records do not answer.
        PipelineError: a stage failed.
    """
    while True:
        found = await read_below(archive, query, followees)
        run = await runner.run(compose(found.candidates), query)
        if run.rest:
            return run, run.selected[-1].appearance_id
        if run.selected or not found.reached:
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
    standing = []
    for appearance in found:
        newer = retweets.get(appearance.original_id, [])
        newest = max((retweet for retweet, _ in newer), default=appearance.original_id)
        if newest <= appearance.appearance_id:
            standing.append(_candidate(appearance, tuple(dict.fromkeys(user for _, user in newer))))
    return Below(standing, reached)


def _candidate(appearance: Appearance, retweeters: tuple[int, ...]) -> Candidate:
    return Candidate(
        appearance.appearance_id,
        appearance.author,
        appearance.original_id,
        appearance.original_author,
        appearance.is_retweet,
        "following",
        retweeters,
    )
