"""What a pane brought to the windows, until it has left them all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipelines.trends.hashing import Bools, Ints
from pipelines.trends.recent_tweets import LAST_TURN, Turns

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True)
class PaneLog:
    """Slots of pairs; slots of terms (sorted) and each one's number of authors.

    ``tweets``: of which tweets of its author a pair is, a bit for each turn; never 0.
    """

    pairs: Numbers
    terms: Numbers
    counts: Numbers
    tweets: Turns

    def also_of(self, known: Bools, tweets: Turns) -> PaneLog:
        """The known of the pairs are of these tweets (an array for them alone), too."""
        more = self.tweets.copy()
        more[known] |= tweets
        return replace(self, tweets=more)

    def left_with(self, tweets: Turns, rows: Numbers) -> PaneLog:
        """Without the pairs that have no tweet left; ``rows``: the term of each pair's slot."""
        stays = tweets != 0
        counts = self.counts.copy()
        np.subtract.at(counts, np.searchsorted(self.terms, rows[self.pairs[~stays]]), 1)
        used = counts > 0
        return PaneLog(self.pairs[stays], self.terms[used], counts[used], tweets[stays])

    def renumbered(self, new_pair: Ints, new_term: Ints) -> PaneLog:
        """With new slots, in the same order; -1 for what is forgotten."""
        pairs, terms = new_pair[self.pairs], new_term[self.terms]
        kept, used = pairs >= 0, terms >= 0
        return PaneLog(
            pairs[kept].astype(np.int32), terms[used].astype(np.int32), self.counts[used], self.tweets[kept]
        )

    def pack(self) -> tuple[bytes, ...]:
        return tuple(array.tobytes() for array in (self.pairs, self.terms, self.counts, self.tweets))

    @classmethod
    def unpack(cls, pairs: bytes, terms: bytes, counts: bytes, tweets: bytes | None = None) -> PaneLog:
        """``tweets``: none in the state of version 1, whose tweets are not known."""
        slots, rows, authors = (np.frombuffer(array, np.int32) for array in (pairs, terms, counts))
        if tweets is None:
            return cls(slots, rows, authors, np.full(len(slots), 1 << LAST_TURN, np.uint8))
        return cls(slots, rows, authors, np.frombuffer(tweets, np.uint8))
