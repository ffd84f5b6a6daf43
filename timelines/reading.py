"""Pure steps of a home read: whose entries count, the merge, the collapse per original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timelines.entry import ENTRY_DTYPE, RETWEET, WITHDRAWN, Entries, Ids
from timelines.timeline import newest

_AS_BYTES = np.dtype(f"V{ENTRY_DTYPE.itemsize}")


@dataclass(frozen=True)
class Appearance:
    """One original in a feed, at its newest appearance.

    ``author`` made it appear; ``retweeters`` are those who retweeted it within the timeline, newest first;
    ``pulled`` says that the newest appearance came from an outbox merged at read.
    """

    original_id: int
    original_author: int
    appearance_id: int
    author: int
    retweeters: tuple[int, ...]
    is_retweet: bool
    pulled: bool
    flags: int


def active_members(members_with_scores: list[tuple[bytes | str, float]]) -> Ids:
    """The members of a reader set that are active, int64 ascending."""
    if not members_with_scores:
        return np.empty(0, dtype=np.int64)
    members, scores = zip(*members_with_scores, strict=True)
    ids = np.array(list(map(int, members)), dtype=np.int64)
    return np.sort(ids[np.array(scores) % 2 == 1])


def by_authors(entries: Entries, authors: Ids) -> Entries:
    """The entries that one of ``authors``, int64 ascending, made appear."""
    if not len(authors):
        return entries[:0]
    made_by = entries["author"]
    places = np.minimum(np.searchsorted(authors, made_by), len(authors) - 1)
    found: Entries = entries.take(np.flatnonzero(authors[places] == made_by))
    return found


def merge(parts: list[Entries], length: int) -> Entries:
    """The newest ``length`` entries of several timelines, each appearance once, newest first."""
    return newest(joined(parts), length)


def joined(parts: Sequence[Entries]) -> Entries:
    """All entries in one array: as plain bytes, since numpy joins arrays of fields field by field."""
    whole: Entries = np.concatenate([part.view(_AS_BYTES) for part in parts]).view(ENTRY_DTYPE)
    return whole


def shown(entries: Entries) -> Entries:
    """Without what was withdrawn."""
    kept: Entries = entries.take(np.flatnonzero((entries["flags"] & WITHDRAWN) == 0))
    return kept


def collapse(entries: Entries) -> list[Appearance]:
    """One appearance per original, in the order of ``entries`` (newest first, nothing withdrawn)."""
    rows: dict[int, tuple[int, int, int, int, int, bool, dict[int, None]]] = {}
    for appearance, author, original, original_author, flags, pulled in entries.tolist():
        row = rows.get(original)
        if row is None:
            row = (original, original_author, appearance, author, flags, pulled, {})
            rows[original] = row
        if flags & RETWEET:
            row[6].setdefault(author)
    return [
        Appearance(
            original_id=original,
            original_author=original_author,
            appearance_id=appearance,
            author=author,
            retweeters=tuple(retweeters),
            is_retweet=bool(flags & RETWEET),
            pulled=pulled,
            flags=flags,
        )
        for original, original_author, appearance, author, flags, pulled, retweeters in rows.values()
    ]
