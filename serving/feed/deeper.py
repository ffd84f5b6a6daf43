"""Below the home timeline: pages of a chronological scrolling from the records.

The home timeline keeps the newest entries only. What lies below them is read from the tables by the same
definition: an original stands once, at its newest appearance among all that the reader's feed holds up to the
top of the scrolling, so that nothing shown above comes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from records.appearances import EVERYTHING, Appearance
from serving.archive import Archive
from serving.feed.query import Candidate, FeedQuery
from timelines.entry import Ids

CHUNK = 3
"""How many times the page's length is read at once: some of it will be hidden or stand above."""


@dataclass(frozen=True)
class Below:
    """Candidates of a page, newest first, and the id below which the next goes on; 0 at the end."""

    candidates: Sequence[Candidate]
    reached: int


@dataclass(frozen=True)
class Given:
    """Source: candidates found before the pipeline runs."""

    candidates: Sequence[Candidate]
    name: str = "records"

    async def fetch(self, query: FeedQuery) -> Sequence[Candidate]:
        return self.candidates


async def read_below(archive: Archive, query: FeedQuery, followees: Ids) -> Below:
    """What the tables hold below ``query.below``, by the accounts followed and the reader.

    Raises:
        ArchiveUnavailableError: the records do not answer.
    """
    authors = sorted({*followees.tolist(), query.reader} - query.hidden)
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
