"""Trends counted the plain way: characters one by one, sets of authors, every window from scratch.

Shares no code with ``pipelines.trends``: it is what the bench ``trends`` compares that with.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise

from ingestion.events import TweetCreated

ALWAYS = frozenset(("rt", "amp", "via"))
Terms = frozenset[str]


def script_of(letter: str) -> str | None:
    """What a character is in a word: letter, digit, han or katakana; None for no part of one."""
    name = unicodedata.name(letter, "")
    category = unicodedata.category(letter)
    if "VARIATION SELECTOR" in name and category == "Mn" and ord(letter) < 0x10000:
        return None
    if name.startswith("HIRAGANA") or 0x3041 <= ord(letter) <= 0x309F:
        return None
    if name.startswith("KATAKANA") and category in ("Lo", "Lm"):
        return "katakana"
    if name.startswith(("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "IDEOGRAPHIC ITERATION")):
        return "han"
    if letter in "〆〇":
        return "han"
    if category == "Nd":
        return "digit"
    return "letter" if category[0] in "LMN" or letter in "\u200c\u200d" else None


def plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text.replace("\0", " ")).lower()


def runs(text: str) -> list[list[str]]:
    """The words of a plain text, in groups that only spaces, hyphens and apostrophes part inside."""
    groups: list[list[str]] = [[]]
    for chunk in text.split():
        starts = [at for sign in ("@", "#", "http://", "https://", "www.") if (at := chunk.find(sign)) >= 0]
        kept, cut = (chunk[: min(starts)], True) if starts else (chunk, False)
        last = None
        for letter in kept:
            script = script_of(letter)
            if script is None:
                if letter not in "-'’_‐‑":
                    groups.append([])
                last = None
                continue
            kind = script if script in ("han", "katakana") else "other"
            if kind == last and groups[-1]:
                groups[-1][-1] += letter
            else:
                groups[-1].append(letter)
            last = kind
        if cut:
            groups.append([])
    return groups


def parts_of(stop_words: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Language -> its stop words, and what stands before and after their apostrophes."""
    return {
        lang: frozenset(part for word in words for group in runs(plain(word)) for part in group)
        for lang, words in stop_words.items()
    }


def terms_of(tweet: TweetCreated, stop_words: Mapping[str, Set[str]]) -> Terms:
    """The letters of the tweet's hashtags, words and pairs of words; ``stop_words`` are ``parts_of`` such."""
    stop = stop_words["en"] | stop_words.get((tweet.lang or "")[:2], frozenset()) | ALWAYS
    found: set[str] = set()
    for group in runs(plain(tweet.text or "")):
        words = [(word, fits(word), word in stop) for word in group]
        found.update(word for word, fit, stopped in words if fit and not stopped)
        for (one, fit, stopped), (two, also_fit, also_stopped) in pairwise(words):
            long = (not stopped or len(one) >= 5) and (not also_stopped or len(two) >= 5)
            if fit and also_fit and long and not (stopped and also_stopped) and one != two:
                found.add(one + two)
    for tag in tweet.hashtags:
        letters = "".join(c for c in plain(tag) if script_of(c) or 0x3041 <= ord(c) <= 0x309F)
        if 0 < len(letters) <= 80:
            found.add(letters)
    return frozenset(found)


def fits(word: str) -> bool:
    wide = all(ord(letter) >= 0x800 for letter in word)
    digits = all(unicodedata.category(letter) == "Nd" for letter in word)
    return (2 if wide else 3) <= len(word) <= 40 and not digits


@dataclass
class PlainTrends:
    """Lists of ``window`` panes by sets, from all panes since the first."""

    pane_ms: int
    min_authors: int
    panes: dict[str, dict[int, dict[str, set[int]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(set)))
    )
    totals: dict[str, dict[int, set[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )

    def add(self, tweet: TweetCreated, places: Iterable[str], terms: Terms) -> None:
        for place in places:
            pane = tweet.ts // self.pane_ms
            self.totals[place][pane].add(tweet.author_id)
            for term in terms:
                self.panes[place][pane][term].add(tweet.author_id)

    def scores(self, place: str, now: int, window: int, half_life: int) -> dict[str, float]:
        """Term -> score of the window that ends with pane ``now``."""
        inside: dict[str, list[set[int]]] = defaultdict(list)
        for pane in range(now - window + 1, now + 1):
            for term, authors in self.panes[place].get(pane, {}).items():
                inside[term].append(authors)
        begin = min(pane for panes in self.totals.values() for pane in panes)
        left = now - window - begin + 1
        weights = Weights(now - window, left, half_life)
        panes, totals = self.panes[place], self.totals[place]
        recent = [pane for pane in totals if pane <= now - window]
        total = sum(len(totals[pane]) for pane in range(now - window + 1, now + 1) if pane in totals)
        usual = window * weights.mean([(pane, len(totals[pane])) for pane in recent])
        activity = (total + 10) / (usual + 10) if left > 0 else 1.0
        scores = {}
        for term, sets in inside.items():
            count = len(set[int]().union(*sets))
            if count < self.min_authors:
                continue
            scale = activity * count / sum(map(len, sets))
            history = [(pane, len(panes[pane][term])) for pane in recent if term in panes[pane]]
            mean = weights.mean(history)
            variance = max(weights.mean([(pane, used**2) for pane, used in history]) - mean**2, 0.0)
            expected, spread = window * mean * scale, window * variance * scale**2
            over = count - max(expected, 1.0)
            scores[term] = max(over, 0.0) / (max(spread, expected) ** 0.5 + 1.0)
        return {term: score for term, score in scores.items() if score > 0}


@dataclass(frozen=True)
class Weights:
    """Of the ``left`` panes up to ``newest``, halved with every ``half_life`` panes of age."""

    newest: int
    left: int
    half_life: int

    def mean(self, values: Sequence[tuple[int, float]]) -> float:
        if self.left <= 0:
            return 0.0
        factor: float = 0.5 ** (1 / self.half_life)
        weighed: float = sum(value * factor ** (self.newest - pane) for pane, value in values)
        result: float = weighed * (1 - factor) / (1 - factor**self.left)
        return result


def recall(ours: Sequence[str], scores: Mapping[str, float], top: int) -> float | None:
    """The share of the places 1 to ``top`` that our list fills with terms that belong there.

    A term as good as the last of the best ``top`` belongs there. None where there is nothing to find.
    """
    best = sorted(scores.values(), reverse=True)[:top]
    if not best:
        return None
    hits = sum(scores.get(term, 0.0) >= best[-1] * (1 - 1e-4) - 1e-9 for term in ours[:top])
    return min(hits, len(best)) / len(best)


def letters_of(name: str) -> str:
    """The letters by which a shown term is known."""
    return name.removeprefix("#").replace(" ", "")


def lists(rows: Iterable[tuple[str, str, int, int, str]]) -> Iterator[tuple[tuple[str, str, int], list[str]]]:
    """(place, window, as_of, rank, term) -> the terms of each list by rank."""
    found: dict[tuple[str, str, int], list[tuple[int, str]]] = defaultdict(list)
    for place, window, as_of, rank, term in rows:
        found[place, window, as_of].append((rank, letters_of(term)))
    for key, ranked in found.items():
        yield key, [term for _, term in sorted(ranked)]
