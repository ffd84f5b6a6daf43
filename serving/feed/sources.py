"""Where candidates come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from serving.feed.query import Candidate, FeedQuery
from timelines.entry import RETWEET
from timelines.home import HomeReader
from timelines.reading import collapse


@dataclass(frozen=True)
class Home:
    """The reader's home timeline: pushed entries as "following", those pulled at read as "celebrity".

    Every appearance is a candidate; each knows who retweeted its original.
    """

    reader: HomeReader = field(repr=False)
    name: str = "home_timeline"

    async def fetch(self, query: FeedQuery) -> Sequence[Candidate]:
        home = await self.reader.read(query.reader)
        entries = home.entries[home.entries["appearance"] <= query.top]
        shown = entries[~np.isin(entries["author"], list(query.hidden))] if query.hidden else entries
        retweeters = {a.original_id: a.retweeters for a in collapse(shown)}
        return [
            Candidate(
                appearance,
                author,
                original,
                original_author,
                bool(flags & RETWEET),
                "celebrity" if pulled else "following",
                retweeters.get(original, ()),
            )
            for appearance, author, original, original_author, flags, pulled in entries.tolist()
        ]


@dataclass(frozen=True)
class Given:
    """Source: candidates found before the pipeline runs."""

    candidates: Sequence[Candidate]
    name: str = "records"

    async def fetch(self, query: FeedQuery) -> Sequence[Candidate]:
        return self.candidates
