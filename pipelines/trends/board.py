"""Which terms trend in which place, over which window, as of the newest pane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pipelines.trends import listing, scoring
from pipelines.trends.hashing import Bools, Ints, UInts, name_hashes
from pipelines.trends.listing import Candidate
from pipelines.trends.names import Names
from pipelines.trends.occurrences import NAME_AGAIN_MS, TOTAL
from pipelines.trends.plan import TrendPlan
from pipelines.trends.scoring import Floats
from pipelines.trends.terms import place_term
from pipelines.trends.windows import Windows

STEADY = 10.0
"""Tweets added to both sides of the comparison with a place's usual activity: small places vary by chance."""


class Row(NamedTuple):
    """A line of the analysts' table; times in ms UTC, ``since`` None where the term is not listed."""

    place: str
    window: str
    as_of: int
    term: str
    rank: int
    tweets: int
    authors: int
    expected: float
    score: float
    since: int | None


@dataclass(frozen=True)
class Scored:
    """The terms of one window with enough authors: rows of ``Windows.terms``, and [n] arrays beside them."""

    rows: Ints
    count: Ints
    authors: Ints
    expected: Floats
    score: Floats


class Board:
    """Scores what ``windows`` counts; knows since when each term is listed and what the last pages were."""

    def __init__(self, plan: TrendPlan) -> None:
        self.plan = plan
        self.windows = Windows(plan.windows, {f"since_{i}": (np.int64, 0) for i in range(len(plan.windows))})
        self.names = Names()
        self._places: dict[str, int] = {}
        self._place_names: list[str] = []
        self._bare: set[int] = set()
        self._before: dict[tuple[int, int], dict[str, int]] = {}

    @property
    def as_of(self) -> int:
        """Where the windows end: the end of the newest pane, ms UTC."""
        return (self.windows.now + 1) * self.plan.pane_ms

    def place_ids(self, names: list[str]) -> Ints:
        """Small numbers for the places, made where there are none."""
        for name in names:
            if name not in self._places:
                self._places[name] = len(self._place_names)
                self._place_names.append(name)
        return np.asarray([self._places[name] for name in names], np.int64)

    def enter(self, pane: int, rows: Ints, tweets: UInts) -> None:
        """``Windows.enter``."""
        self._bare.clear()
        self.windows.enter(pane, rows, tweets)

    @property
    def quiet(self) -> bool:
        """Whether no term is listed or could be until something enters a window."""
        return len(self._bare) == len(self.plan.windows)

    def score(self, i: int) -> Scored:
        """Score the i-th window, and note which terms enter its lists and which leave them."""
        terms, window = self.windows.terms, self.plan.windows[i]
        since = terms[f"since_{i}"]
        rows = np.flatnonzero((terms[f"authors_{i}"] >= self.plan.min_authors) | (since > 0))
        rows = rows[terms["term"][rows] != TOTAL]
        if len(rows) == 0:
            self._bare.add(i)
        authors = terms[f"authors_{i}"][rows].astype(np.float64)
        count = terms[f"count_{i}"][rows].astype(np.float64)
        activity = self._activity(i)[terms["place"][rows]]
        moments = self.windows.history(i, rows)
        mean, variance = scoring.expected(moments, window.panes, authors, count, activity)
        score = scoring.score(authors, mean, variance)
        score[authors < self.plan.min_authors] = 0
        listed = since[rows] > 0
        stays = listing.staying(score, listed, self.plan.enter, self.plan.leave)
        since[rows[stays & ~listed]] = self.as_of
        since[rows[~stays]] = 0
        enough = authors >= self.plan.min_authors
        found = (count.astype(np.int64), authors.astype(np.int64), mean, score)
        return Scored(rows[enough], *(column[enough] for column in found))

    def table(self, i: int, scored: Scored) -> list[Row]:
        """The best terms of each place by score alone."""
        best = scored.score > 0
        order, rank = self._ranks(scored, best, self.plan.top)
        columns = self._columns(i, scored, order)
        window, as_of = self.plan.windows[i].name, self.as_of
        return [
            Row(
                self._place_names[where],
                window,
                as_of,
                name,
                position,
                seen,
                authors,
                round(mean, 3),
                round(points, 3),
                since or None,
            )
            for position, (where, name, seen, authors, mean, points, since) in zip(
                rank.tolist(), columns, strict=True
            )
            if name is not None
        ]

    def pages(self, i: int, scored: Scored) -> dict[str, list[Candidate]]:
        """The page of each place that has one, or had one before; what is shown next starts from these."""
        listed = self.windows.terms[f"since_{i}"][scored.rows] > 0
        order, _ = self._ranks(scored, listed, 2 * self.plan.top)
        found: dict[int, list[Candidate]] = {where: [] for number, where in self._before if number == i}
        for where, name, *figures in self._columns(i, scored, order):
            if name is not None:
                found.setdefault(where, []).append(Candidate(name, *figures))
        pages = {}
        for where, candidates in found.items():
            before = self._before.get((i, where), {})
            page = listing.ordered(
                listing.without_repeats(candidates), before, self.plan.margin, self.plan.top
            )
            self._before[i, where] = {candidate.term: rank for rank, candidate in enumerate(page)}
            if not page:
                del self._before[i, where]
            pages[self._place_names[where]] = page
        return pages

    def compact(self) -> bool:
        """Forget what nobody will ask for, when there is enough of it; then rows have other numbers."""
        kept = self.windows.compact(self.plan.max_pairs, self.plan.max_terms)
        if kept is not None:
            # Who reads tweets names a term once in NAME_AGAIN_MS, whether or not it is still known here.
            self.names.keep(kept, self.as_of - 2 * NAME_AGAIN_MS)
        return kept is not None

    def pack(self) -> dict[str, object]:
        return {
            "windows": self.windows.pack(),
            "names": self.names.pack(),
            "places": self._place_names,
            "before": [(i, where, list(ranks)) for (i, where), ranks in self._before.items()],
        }

    def unpack(self, packed: Mapping[str, Any]) -> None:
        self.windows.unpack(packed["windows"])
        self.names.unpack(packed["names"])
        self._place_names = list(packed["places"])
        self._places = {name: number for number, name in enumerate(self._place_names)}
        self._before = {
            (i, where): {term: rank for rank, term in enumerate(order)}
            for i, where, order in packed["before"]
        }

    def _ranks(self, scored: Scored, chosen: Bools, top: int) -> tuple[Ints, Ints]:
        """Indices into ``scored`` of the best of the chosen, by place and rank, and the ranks."""
        which = np.flatnonzero(chosen)
        terms = self.windows.terms
        order, rank = listing.ranks(
            terms["place"][scored.rows[which]],
            scored.score[which],
            scored.count[which],
            terms["term"][scored.rows[which]],
        )
        best = rank <= top
        return which[order[best]], rank[best]

    def _columns(self, i: int, scored: Scored, order: Ints) -> Iterator[tuple[Any, ...]]:
        """(place number, name or None, count, authors, expected, score, since) of each."""
        terms = self.windows.terms
        rows = scored.rows[order]
        return zip(
            terms["place"][rows].tolist(),
            self.names.of(terms["term"][rows]),
            scored.count[order].tolist(),
            scored.authors[order].tolist(),
            scored.expected[order].tolist(),
            scored.score[order].tolist(),
            terms[f"since_{i}"][rows].tolist(),
            strict=True,
        )

    def _activity(self, i: int) -> Floats:
        """[places] tweets' authors in the window over what the place's own history lets expect."""
        keys = place_term(np.full(len(self._place_names), TOTAL), name_hashes(self._place_names))
        slots = self.windows.term_index.find(keys)
        known = np.flatnonzero(slots >= 0)
        result = np.ones(len(keys))
        moments = self.windows.history(i, slots[known])
        if moments.weight > 0:
            usual = self.plan.windows[i].panes * moments.first / moments.weight
            seen = self.windows.terms[f"count_{i}"][slots[known]]
            result[known] = (seen + STEADY) / (usual + STEADY)
        return result
