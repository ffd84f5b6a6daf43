"""The terms of tweets: hashtags, words and pairs of adjacent words, in any script, a batch at a time.

A term is known by its letters alone, in lower case and compatibility form (NFKC), without spaces, signs and
underscores: ``#WorldCup``, ``#world_cup``, ``worldcup`` and ``world cup`` are one term.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.trends.hashing import (
    Bools,
    CodePoints,
    HashSet,
    Ints,
    UInts,
    code_points,
    joined,
    mixed,
    name_hashes,
    polynomials,
    term_hashes,
)
from pipelines.trends.scripts import DIGIT, END, LETTER, PARTING, SPACE, TWEET_END, classes

WORD, PAIR, HASHTAG = 1, 2, 3
MIN_LETTERS = 3
MIN_WIDE_LETTERS = 2
WIDE = 0x800
"""From here on scripts say more in a letter: Devanagari, Thai, Hangul, Kana, Han and others."""
MIN_PARTNER = 5
"""Letters of a stop word that may be one of a pair."""
MAX_LETTERS = 40
_ALWAYS = ("rt", "amp", "via")


@dataclass(frozen=True)
class Words:
    """The runs of letters of some texts: [n] slices of ``points``, by text.

    ``parted``: whether a sign, a link, a mention, a hashtag or the end of a text stands before the next word.
    """

    points: CodePoints
    text: Ints
    starts: Ints
    ends: Ints
    parted: Bools
    polynomial: UInts
    wide: Bools
    digits: Bools


def words_of(texts: Sequence[str]) -> Words:
    """The words of the texts, outside links, mentions and hashtags."""
    points = code_points(_plain(texts))
    kinds = classes()[points]
    letter = (kinds >= LETTER) & ~_skipped(points, kinds)
    script = np.where(letter, np.maximum(kinds, DIGIT), 0)
    edge = np.flatnonzero(script[1:] != script[:-1]) + 1
    edge = np.concatenate([[0], edge, [len(points)]]) if len(points) else np.zeros(1, np.int64)
    inside = letter[edge[:-1]]
    starts, ends = edge[:-1][inside], edge[1:][inside]
    parting = _counted((kinds == PARTING) | (kinds == END) | ((kinds >= LETTER) & ~letter))
    following = np.append(starts[1:], len(points))
    size = ends - starts
    wide, digits = _counted(points >= WIDE), _counted(kinds == DIGIT)
    return Words(
        points,
        _counted(kinds == END)[starts],
        starts,
        ends,
        np.append(parting[following[:-1]] > parting[ends[:-1]], True)[: len(starts)],
        polynomials(points, starts, ends),
        wide[ends] - wide[starts] == size,
        digits[ends] - digits[starts] == size,
    )


@dataclass(frozen=True)
class Terms:
    """[n] the tweet each term stands in, its hash and its kind, and where its letters are.

    A pair's letters are two slices of ``points``; the second slice of other terms is empty.
    """

    tweet: Ints
    term: UInts
    kind: npt.NDArray[np.uint8]
    slices: npt.NDArray[np.int64]
    points: CodePoints

    def names(self, chosen: Ints) -> tuple[Ints, CodePoints]:
        """[len(chosen) + 1] cuts and the letters between them; a pair's words have a space between them."""
        slices = self.slices[chosen]
        first, second = slices[:, 1] - slices[:, 0], slices[:, 3] - slices[:, 2]
        space = (second > 0).astype(np.int64)
        cuts = np.concatenate([[0], np.cumsum(first + space + second)])
        letters = np.full(cuts[-1], ord(" "), np.uint32)
        letters[_ranges(cuts[:-1], first)] = self.points[_ranges(slices[:, 0], first)]
        letters[_ranges(cuts[:-1] + first + space, second)] = self.points[_ranges(slices[:, 2], second)]
        return cuts, letters


class TermReader:
    """Finds terms. A word that ``stop_words`` has for the tweet's language, or for English, is none.

    Args:
        stop_words: language (ISO 639-1) -> its stop words.
        words: whether words count, and not only hashtags.
    """

    def __init__(self, stop_words: Mapping[str, Iterable[str]], words: bool = True) -> None:
        self._words = words
        everywhere = _word_hashes([*stop_words.get("en", ()), *_ALWAYS])
        spoken = [_word_hashes(words) ^ name_hashes([lang])[0] for lang, words in stop_words.items()]
        self._everywhere = HashSet(everywhere)
        self._by_language = HashSet(np.concatenate([np.zeros(0, np.uint64), *spoken]))

    def read(self, texts: Sequence[str], langs: Sequence[str], tags: Sequence[Sequence[str]]) -> Terms:
        """The terms of the tweets, in no order; the same term may stand in a tweet several times."""
        words = words_of(texts if self._words else ())
        size = words.ends - words.starts
        least = np.where(words.wide, MIN_WIDE_LETTERS, MIN_LETTERS)
        term = term_hashes(words.polynomial)
        word = (size >= least) & (size <= MAX_LETTERS) & ~words.digits
        stop = self._stop(term, words.text, langs)
        fits = word & ~stop
        # Lists of stop words have "world": it is no term alone, and "world cup" is one.
        partner = fits | (word & stop & (size >= MIN_PARTNER))
        pair = (fits[:-1] & partner[1:]) | (partner[:-1] & fits[1:])
        pair = np.flatnonzero(pair & ~words.parted[:-1] & (term[:-1] != term[1:]))
        pairs = joined(words.polynomial[pair], size[pair], words.polynomial[pair + 1])
        single = np.flatnonzero(fits)
        tag_points, tag_tweet, cuts = _tags(tags)
        tag_slices = np.column_stack([cuts[:-1], cuts[1:]]) + len(words.points)
        none = np.zeros((len(single) + len(tag_tweet), 2), np.int64)
        spans = np.column_stack([words.starts, words.ends])
        return Terms(
            np.concatenate([words.text[single], words.text[pair], tag_tweet]),
            np.concatenate(
                [
                    term[single],
                    term_hashes(pairs),
                    term_hashes(polynomials(tag_points, cuts[:-1] + 1, cuts[1:])),
                ]
            ),
            np.repeat(np.asarray([WORD, PAIR, HASHTAG], np.uint8), (len(single), len(pair), len(tag_tweet))),
            np.column_stack(
                [
                    np.concatenate([spans[single], spans[pair], tag_slices]),
                    np.concatenate([none[: len(single)], spans[pair + 1], none[len(single) :]]),
                ]
            ),
            np.concatenate([words.points, tag_points]),
        )

    def _stop(self, term: UInts, tweet: Ints, langs: Sequence[str]) -> Bools:
        codes = {lang: code for code, lang in enumerate(dict.fromkeys(langs))}
        hashes = name_hashes([lang[:2] for lang in codes])
        spoken = hashes[np.asarray([codes[lang] for lang in langs], np.int64)]
        return self._everywhere.has(term) | self._by_language.has(term ^ spoken[tweet])


def place_term(term: UInts, place: UInts) -> UInts:
    """What a term is known by in one place; ``place`` are ``name_hashes`` of places."""
    return mixed(term ^ place)


def _plain(texts: Sequence[str]) -> str:
    """The texts in compatibility form and lower case, an END after each."""
    if any(TWEET_END in text for text in texts):
        texts = [text.replace(TWEET_END, " ") for text in texts]
    composed = [text if text.isascii() else unicodedata.normalize("NFKC", text) for text in texts]
    return TWEET_END.join([*composed, ""]).lower()


def _skipped(points: CodePoints, kinds: npt.NDArray[np.uint8]) -> Bools:
    """What stands in links, mentions and hashtags: from their sign to the next white space."""
    begins = (points == ord("@")) | (points == ord("#"))
    for head in ("http://", "https://", "www."):
        place = np.flatnonzero(points[: len(points) - len(head)] == ord(head[0]))
        for offset, letter in enumerate(head[1:], 1):
            place = place[points[place + offset] == ord(letter)]
        begins[place] = True
    begin = np.flatnonzero(begins)
    white = np.flatnonzero((kinds == SPACE) | (kinds == END))
    token = np.searchsorted(white, begin)
    first = np.diff(token, prepend=-1) > 0
    turns = np.zeros(len(points), np.int8)
    turns[begin[first]] = 1
    turns[white[token[first]]] = -1
    skipped: Bools = np.cumsum(turns, dtype=np.int8).view(np.bool_)
    return skipped


def _tags(tags: Sequence[Sequence[str]]) -> tuple[CodePoints, Ints, Ints]:
    """The hashtags as ``#letters`` one after another, their tweets, and [n + 1] cuts between them."""
    flat = [(tweet, tag) for tweet, named in enumerate(tags) for tag in named]
    points = code_points(_plain([tag for _, tag in flat]))
    kinds = classes()[points]
    hiragana = (points >= 0x3041) & (points <= 0x309F)
    kept = (kinds >= LETTER) | hiragana
    size = np.bincount(_counted(kinds == END)[:-1][kept], minlength=len(flat))[: len(flat)]
    fits = (size > 0) & (size <= 2 * MAX_LETTERS)
    which = _counted(kinds == END)[:-1]
    kept &= np.append(fits, False)[which]
    cuts = np.concatenate([[0], np.cumsum(size[fits] + 1)])
    letters = np.full(cuts[-1], ord("#"), np.uint32)
    letters[_ranges(cuts[:-1] + 1, size[fits])] = points[kept]
    return letters, np.asarray([tweet for tweet, _ in flat], np.int64)[fits], cuts


def _word_hashes(stop: Iterable[str]) -> UInts:
    """The hashes of the words that stop words consist of once they are parted."""
    return term_hashes(words_of(list(stop)).polynomial)


def _counted(marks: Bools) -> Ints:
    """[n + 1] how many marks stand before each place."""
    counted = np.zeros(len(marks) + 1, np.int64)
    np.cumsum(marks, out=counted[1:])
    return counted


def _ranges(starts: Ints, sizes: Ints) -> Ints:
    """The numbers of all ranges ``start:start + size``, one after another."""
    before = np.cumsum(sizes) - sizes
    total = int(sizes.sum())
    result: Ints = np.arange(total) + np.repeat(starts - before, sizes)
    return result
