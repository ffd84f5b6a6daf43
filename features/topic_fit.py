"""How well an item's words fit a reader: topics of texts, found anew every six hours from the texts before.

Topics are the singular vectors of latent semantic analysis (Deerwester et al., 1990) over tf-idf weights. A
person's taste is a sum of the unit vectors of texts: as of the moment the topics were found, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import svds

from features.ranking_log import RankingLog, Texts
from features.running import Floats, Ints

EVERY_MS = 6 * 3_600_000
LEAST_TEXTS, LATEST_TEXTS = 200, 50_000
LEAST_USES, LARGEST_SHARE = 3, 0.1
"""A word of fewer texts, or of more than this share of them, says nothing of a topic."""
DIMENSIONS = 16
WEIGHT = 2.0
RATE_WEIGHT = 10.0
SOURCES = ("written", "followed", "engaged", "rate")


@dataclass(frozen=True)
class Library:
    """``words``: [items, words], 1 where an item has a word; when and by whom each was written."""

    items: Ints
    written: Ints
    author: Ints
    words: csr_matrix

    @classmethod
    def of(cls, texts: Texts) -> Library:
        """Every item with its words, by its code."""
        items, first, place = np.unique(texts.item, return_index=True, return_inverse=True)
        words = csr_matrix((np.ones(len(place)), (place, texts.word)))
        words.data[:] = 1.0
        return cls(items, texts.time[first], texts.author[first], words)

    def places(self, items: Ints) -> Ints:
        """Where each of ``items`` stands; -1 for one without words."""
        place = np.minimum(np.searchsorted(self.items, items), len(self.items) - 1)
        return np.where(self.items[place] == items, place, -1)

    def vectors(self, moment: int) -> Floats | None:
        """A unit vector per item by topics of the texts before ``moment``; None while these are too few."""
        earlier = np.flatnonzero(self.written < moment)
        earlier = earlier[np.argsort(self.written[earlier], kind="stable")][-LATEST_TEXTS:]
        uses = np.asarray(self.words[earlier].sum(axis=0)).ravel()
        kept = np.flatnonzero((uses >= LEAST_USES) & (uses <= LARGEST_SHARE * len(earlier)))
        if len(earlier) < LEAST_TEXTS or len(kept) <= DIMENSIONS:
            return None
        weighed = self.words[:, kept] @ diags(np.log(len(earlier) / uses[kept]))
        learned = _unit_rows(weighed[earlier])
        _, _, topics = svds(learned, k=DIMENSIONS, v0=np.ones(min(learned.shape)))
        found = np.asarray(weighed @ topics.T)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.maximum(lengths, 1e-12), dtype=np.float64)


def topic_fits(log: RankingLog) -> dict[str, Floats]:
    """Per name of ``SOURCES`` how well each row's item fits its reader, float64 [n].

    The mean likeness to what the reader wrote, to what those it follows wrote, and to what it engaged with;
    and the smoothed rate of positives among what it was shown, each weighing as much as it is like the item.
    NaN before there were topics, and for an item without words.
    """
    rows = log.candidates
    fits = {source: np.full(len(rows), np.nan) for source in SOURCES}
    if not len(log.texts.item) or not len(rows):
        return fits
    library = Library.of(log.texts)
    place = library.places(rows.item)
    place[library.written[place] > rows.time] = -1
    people = 1 + int(max(codes.max(initial=0) for codes in _people(log)))
    shown = np.flatnonzero(rows.judged & (place >= 0) & (rows.user >= 0))
    for moment in range(int(rows.time.min()) // EVERY_MS * EVERY_MS, int(rows.time.max()) + 1, EVERY_MS):
        asked = np.flatnonzero(
            (rows.time >= moment) & (rows.time < moment + EVERY_MS) & (place >= 0) & (rows.user >= 0)
        )
        vectors = library.vectors(moment) if len(asked) else None
        if vectors is None:
            continue
        texts = np.flatnonzero((library.written < moment) & (library.author >= 0))
        known = shown[rows.known[shown] < moment]
        hits = known[rows.label[known] > 0]
        written, texts_of = _sums(library.author[texts], texts, vectors, people)
        engaged, hits_of = _sums(rows.user[hits], place[hits], vectors, people)
        seen, _ = _sums(rows.user[known], place[known], vectors, people)
        edges = log.follows.where((log.follows.since < moment) & (moment <= log.follows.until))
        ones = np.ones(len(edges.follower))
        graph = csr_matrix((ones, (edges.follower, edges.followee)), (people, people))
        followees = np.bincount(edges.follower, minlength=people)
        followed = (graph @ (written / (texts_of + WEIGHT)[:, None])) / (followees + WEIGHT)[:, None]
        reader, item = rows.user[asked], vectors[place[asked]]
        likeness = {
            name: np.einsum("ij,ij->i", sums[reader], item)
            for name, sums in (
                ("written", written),
                ("engaged", engaged),
                ("seen", seen),
                ("followed", followed),
            )
        }
        prior = len(hits) / max(len(known), 1)
        fits["written"][asked] = likeness["written"] / (texts_of[reader] + WEIGHT)
        fits["engaged"][asked] = likeness["engaged"] / (hits_of[reader] + WEIGHT)
        fits["followed"][asked] = likeness["followed"]
        fits["rate"][asked] = (np.maximum(likeness["engaged"], 0.0) + RATE_WEIGHT * prior) / (
            np.maximum(likeness["seen"], 0.0) + RATE_WEIGHT
        )
    return fits


def _people(log: RankingLog) -> tuple[Ints, ...]:
    rows, follows = log.candidates, log.follows
    return rows.user, rows.author, log.texts.author, follows.follower, follows.followee


def _sums(people: Ints, places: Ints, vectors: Floats, count: int) -> tuple[Floats, Floats]:
    """Per person the sum of the vectors at its places, [count, dimensions], and how many they are."""
    chosen = csr_matrix((np.ones(len(people)), (people, places)), (count, len(vectors)))
    return np.asarray(chosen @ vectors), np.bincount(people, minlength=count).astype(np.float64)


def _unit_rows(matrix: csr_matrix) -> csr_matrix:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return csr_matrix(diags(1.0 / np.maximum(lengths, 1e-12)) @ matrix)
