"""What a feed request asks, and what the pipeline knows about its reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from timelines.entry import Ids
from timelines.home import HomeTimeline
from timelines.interests import Interests
from timelines.lately import SEEN, SERVED, Records, decode

Algorithm = Literal["ranked", "chronological"]

EVERYTHING = 2**64 - 1
_NOBODY = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class FeedQuery:
    """One page of one reader's feed.

    ``now_ms`` is the moment of the request, milliseconds UTC; ``offset`` how many items earlier pages of the
    same scrolling showed. Chronological pages take appearances above ``since``, of at most ``top`` and below
    ``below``; ranked ones continue at ``offset`` of the ranking kept under ``request_id``. Nothing is shown
    of the accounts in ``hidden`` (muted, blocked, or blocking the reader) nor what has one of
    ``muted_words``. ``home`` is the reader's home timeline; ``seen`` and ``served`` are the records of
    what the reader has seen and was given lately; ``hides`` tells for each author whom the
    reader hid, when; ``interests`` are of what the reader did. ``deadline`` is on the runner's clock. A page
    that goes on below a whole ranking leaves out the originals in ``ranked``.
    """

    reader: int
    limit: int
    now_ms: int
    request_id: str
    top: int = EVERYTHING
    below: int = EVERYTHING
    since: int = 0
    offset: int = 0
    hidden: frozenset[int] = frozenset()
    muted_words: tuple[str, ...] = ()
    home: HomeTimeline | None = field(default=None, repr=False)
    seen: Records = field(default_factory=lambda: decode(SEEN, []), repr=False)
    served: Records = field(default_factory=lambda: decode(SERVED, []), repr=False)
    hides: Mapping[int, int] = field(default_factory=dict, repr=False)
    interests: Interests = field(default_factory=Interests, repr=False)
    ranked: Ids = field(default_factory=lambda: _NOBODY, repr=False)
    deadline: float | None = None

    @property
    def followees(self) -> Ids:
        """The accounts the reader follows, ascending; nobody until the home timeline is read."""
        return _NOBODY if self.home is None else self.home.followees
