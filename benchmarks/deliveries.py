"""Deliveries to measure with: batches of (reader, entry) pairs, and what a sample of readers ends with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from timelines.entry import ENTRY_DTYPE, RETWEET, Entries, Ids

FIRST_ID = 1 << 60
FILLED_AT_ONCE = 40
Pairs = tuple[Ids, Entries]


@dataclass
class DeliveryLog:
    """``readers`` timelines; tweets have ``followers`` random readers in the mean.

    A share ``retweets`` of the entries are retweets. A share ``repeated`` of the deliveries comes a second
    time, a batch later: out of order.
    """

    readers: int
    followers: int
    retweets: float
    repeated: float
    compared: int
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    _next_id: int = FIRST_ID
    _again: Pairs | None = None
    _delivered: dict[int, list[Entries]] = field(default_factory=lambda: defaultdict(list))

    @property
    def sample(self) -> Ids:
        return np.arange(0, self.readers, max(self.readers // self.compared, 1))

    def filling(self, length: int) -> Iterator[Pairs]:
        """Every reader gets ``length`` entries."""
        for _ in range(length // FILLED_AT_ONCE):
            entries = self.tweets(FILLED_AT_ONCE)
            yield self._remember(
                np.tile(np.arange(self.readers), FILLED_AT_ONCE), np.repeat(entries, self.readers)
            )

    def batch(self, tweets: int) -> Pairs:
        """The deliveries of so many tweets, then what is repeated of the batch before."""
        entries = self.tweets(tweets)
        counts = self.rng.poisson(self.followers, tweets)
        readers = np.concatenate([self.rng.choice(self.readers, count, replace=False) for count in counts])
        pairs = readers, np.repeat(entries, counts)
        chosen = self.rng.choice(len(readers), int(len(readers) * self.repeated), replace=False)
        again, self._again = self._again, (readers[chosen], pairs[1][chosen])
        if again is not None:
            pairs = np.concatenate([pairs[0], again[0]]), np.concatenate([pairs[1], again[1]])
        return self._remember(*pairs)

    def tweets(self, count: int) -> Entries:
        """New entries, ids ascending."""
        entries: Entries = np.zeros(count, dtype=ENTRY_DTYPE)
        entries["appearance"] = entries["original"] = self._next_id + np.arange(count) * 4096
        entries["author"] = entries["original_author"] = self.rng.integers(1, 1 << 40, count)
        retweets = np.flatnonzero(self.rng.random(count) < self.retweets)
        entries["original"][retweets] -= self.rng.integers(1, 1 << 40, len(retweets))
        entries["original_author"][retweets] = self.rng.integers(1, 1 << 40, len(retweets))
        entries["flags"][retweets] = RETWEET
        self._next_id += count * 4096
        return entries

    def delivered(self, reader: int) -> Entries:
        """All that a reader of the sample was sent."""
        return np.concatenate(self._delivered[reader])

    def remember(self, reader: int, entries: Entries) -> None:
        """Entries that a reader got in another way."""
        if reader in self.sample:
            self._delivered[reader].append(entries)

    def _remember(self, readers: Ids, entries: Entries) -> Pairs:
        for at in np.flatnonzero(np.isin(readers, self.sample)).tolist():
            self._delivered[int(readers[at])].append(entries[at : at + 1])
        return readers, entries
