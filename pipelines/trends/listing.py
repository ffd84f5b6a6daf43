"""From scores to a page that does not flicker: who enters, who stays, in which order, what is one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.trends.hashing import Bools, Ints
from pipelines.trends.scoring import Floats

SAME_PHRASE = 0.7
"""Terms that share a word are one phrase when the rarer has at least this share of the other's authors."""


@dataclass(frozen=True)
class Candidate:
    """A term that may be listed. ``since``: milliseconds UTC."""

    term: str
    count: int
    authors: int
    expected: float
    score: float
    since: int


def staying(scores: Floats, listed: Bools, enter: float, leave: float) -> Bools:
    """Which terms are in a list: what reaches ``enter``, and what is listed and not below ``leave``."""
    result: Bools = scores >= np.where(listed, leave, enter)
    return result


def ranks(place: Ints, scores: Floats, counts: Ints, ties: Ints) -> tuple[Ints, Ints]:
    """An order by place, then falling score, falling count and rising tie-breaker; ranks from 1 along it."""
    order = np.lexsort((ties, -counts, -scores, place))
    sorted_place = place[order]
    first = np.flatnonzero(np.append(True, sorted_place[1:] != sorted_place[:-1])[: len(order)])
    size = np.diff(np.append(first, len(order)))
    return order, np.arange(len(order)) - np.repeat(first, size) + 1


def without_repeats(candidates: Sequence[Candidate]) -> list[Candidate]:
    """One candidate for each phrase, in the given order.

    ``big storm``, ``storm`` and ``storm warning`` with about as many authors each come from the same text:
    the first stays, a pair in place of its words.
    """
    kept: list[Candidate] = []
    with_word: dict[str, list[int]] = {}
    for candidate in candidates:
        words = _words(candidate)
        place = len(kept)
        for index in sorted({index for word in words for index in with_word.get(word, ())}):
            other = kept[index]
            least, most = sorted((candidate.authors, other.authors))
            if least >= SAME_PHRASE * most:
                place = index
                break
        if place == len(kept):
            kept.append(candidate)
        elif len(words) > len(_words(kept[place])):
            kept[place] = candidate
        else:
            continue
        for word in words:
            with_word.setdefault(word, []).append(place)
    return kept


def ordered(
    candidates: Sequence[Candidate], before: Mapping[str, int], margin: float, top: int
) -> list[Candidate]:
    """The page: terms keep the order they had unless one beats the other by ``margin``.

    Args:
        candidates: by falling score.
        before: term -> its rank on the page before.
    """
    page = sorted(
        (candidate for candidate in candidates if candidate.term in before),
        key=lambda candidate: before[candidate.term],
    )
    new = [candidate for candidate in candidates if candidate.term not in before]
    settled: list[Candidate] = []
    for candidate in page:
        place = len(settled)
        while place and candidate.score > settled[place - 1].score * (1 + margin):
            place -= 1
        settled.insert(place, candidate)
    for candidate in new:
        # Behind the last that is not clearly smaller: a newcomer passes from below.
        place = len(settled)
        while place and candidate.score > settled[place - 1].score * (1 + margin):
            place -= 1
        settled.insert(place, candidate)
    return settled[:top]


def _words(candidate: Candidate) -> frozenset[str]:
    return frozenset(candidate.term.removeprefix("#").split(" "))
