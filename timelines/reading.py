"""Pure steps of a home read: whose entries count, the merge, the collapse per original."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timelines.entry import RETWEET, WITHDRAWN, Entries, Ids
from timelines.timeline import newest


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
    active = [int(member) for member, score in members_with_scores if int(score) & 1]
    return np.sort(np.array(active, dtype=np.int64))


def by_authors(entries: Entries, authors: Ids) -> Entries:
    """The entries that one of ``authors`` made appear."""
    return entries[np.isin(entries["author"], authors)]


def merge(parts: list[Entries], length: int) -> Entries:
    """The newest ``length`` entries of several timelines, each appearance once, newest first."""
    return newest(np.concatenate(parts), length)


def shown(entries: Entries) -> Entries:
    """Without what was withdrawn."""
    kept: Entries = entries[(entries["flags"] & WITHDRAWN) == 0]
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
