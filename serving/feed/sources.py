"""Where candidates come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serving.feed.candidates import CELEBRITY, FOLLOWING, Candidates, Objects, SourceName, objects
from serving.feed.query import FeedQuery
from timelines.entry import RETWEET, Entries, Ids
from timelines.home import HomeReader


@dataclass(frozen=True)
class ReadHome:
    """The reader's home timeline, and with it whom the reader follows."""

    reader: HomeReader = field(repr=False)
    required: bool = True
    name: str = "home_timeline"

    async def hydrate(self, query: FeedQuery) -> Mapping[str, Any]:
        return {"home": await self.reader.read(query.reader)}


@dataclass(frozen=True)
class Home:
    """The home timeline: pushed entries as "following", those pulled at read as "celebrity".

    Every appearance is a candidate; each knows who retweeted its original. ``wanted``: of which of the two.
    """

    wanted: Collection[SourceName] = ("following", "celebrity")
    name: str = "following"

    async def fetch(self, query: FeedQuery) -> Candidates:
        if query.home is None:
            raise ValueError("The home timeline is read before its candidates are taken.")
        entries = query.home.entries
        if query.top < 1 << 63:
            entries = entries[entries["appearance"] <= query.top]
        if "following" not in self.wanted:
            entries = entries[entries["pulled"]]
        if "celebrity" not in self.wanted:
            entries = entries[~entries["pulled"]]
        originals = entries["original"].copy()
        return Candidates.of(
            entries["appearance"].copy(),
            entries["author"].copy(),
            originals,
            entries["original_author"].copy(),
            (entries["flags"] & RETWEET) != 0,
            np.where(entries["pulled"], np.uint8(CELEBRITY), np.uint8(FOLLOWING)),
            retweeters=_retweeters(entries, originals, query),
        )


@dataclass(frozen=True)
class Given:
    """Candidates found before the pipeline runs."""

    candidates: Candidates = field(repr=False)
    name: str = "given"

    async def fetch(self, query: FeedQuery) -> Candidates:
        return self.candidates


def _retweeters(entries: Entries, originals: Ids, query: FeedQuery) -> Objects:
    """Who retweeted each original, newest first, without those that the reader keeps out."""
    retweets = entries[(entries["flags"] & RETWEET) != 0]
    found: dict[int, dict[int, None]] = {}
    for original, author in zip(retweets["original"].tolist(), retweets["author"].tolist(), strict=True):
        if author not in query.hidden:
            found.setdefault(original, {}).setdefault(author)
    named = {original: tuple(authors) for original, authors in found.items()}
    return objects([named.get(original, ()) for original in originals.tolist()])
