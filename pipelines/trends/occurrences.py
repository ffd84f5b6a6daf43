"""What a batch of tweets contributes: which author used which term in which place and pane, as one record."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from ingestion.events import MalformedEventError, MarkChanged, decode
from pipelines.trends import posts as posts_of
from pipelines.trends.hashing import KIND_BITS, TERM_BITS, Ints, UInts, mixed
from pipelines.trends.marks import Mark
from pipelines.trends.places import places_of
from pipelines.trends.posts import Post, Posts
from pipelines.trends.recent_tweets import UNKNOWN, tweet_hashes
from pipelines.trends.terms import TermReader
from timelines.entry import ID_LIMIT

TOTAL = np.uint64(0)
"""The term that every tweet contains: how much is written in a place."""
NAME_AGAIN_MS = 3_600_000
NAMED_SLOTS = 1 << 20
"""Of two forms with one slot the later is remembered: the other one's name is sent again."""


class Occurrences(msgspec.Struct, array_like=True):
    """One batch of one partition. Arrays are little-endian bytes.

    ``newest``, ``clock``: see ``posts.Posts``. Row r says that tweet ``tweets[r]`` (int32) used term
    ``keys[codes[r]]`` (codes int32); rows of ``panes[i]`` are ``bounds[i]:bounds[i + 1]``, and their tweets
    follow each other. The k-th tweet is ``ids[k]`` (``tweet_hashes``) by ``authors[k]`` (uint32 hash).
    The j-th key is the term ``terms[j]`` (uint64) in ``places[place_codes[j]]`` (int32). ``named`` (uint64)
    are terms whose text follows: the kind in their two lowest bits, code points (uint32) in ``text`` cut at
    ``cuts`` (int64). In records from before there were ``tweets``, ``authors`` are those of the rows.
    """

    partition: int
    newest: int
    clock: int
    panes: list[int]
    bounds: list[int]
    codes: bytes
    authors: bytes
    terms: bytes
    place_codes: bytes
    places: list[str]
    named: bytes
    cuts: bytes
    text: bytes
    marks: list[Mark] = []
    tweets: bytes = b""
    ids: bytes = b""
    tweet_marks: list[Mark] = []

    def tweets_in(self, rows: slice) -> tuple[Ints, UInts, npt.NDArray[np.uint32]]:
        """Of rows of one pane: each one's tweet, and the tweets' hashes and authors."""
        authors = np.frombuffer(self.authors, np.uint32)
        if not self.tweets:
            alone = authors[rows]
            return np.arange(len(alone)), np.full(len(alone), UNKNOWN), alone
        tweet = np.frombuffer(self.tweets, np.int32)[rows]
        first, last = int(tweet.min()), int(tweet.max())
        ids = np.frombuffer(self.ids, np.uint64)
        return tweet - first, ids[first : last + 1], authors[first : last + 1]


NOWHERE = -1
"""The partition of a record that says nothing of the tweets topic."""


def marks_of(values: Sequence[bytes | None]) -> Occurrences:
    """The judgements among records of the topic ``marks``, as a record of their own."""
    found: dict[str, list[Mark]] = {"account": [], "tweet": []}
    for value in values:
        try:
            event = decode(value or b"")
        except MalformedEventError:
            continue
        if isinstance(event, MarkChanged) and 0 <= event.target_id < ID_LIMIT:
            mark = Mark(event.target_id, event.verdict == "quarantine", event.rank)
            found[event.target].append(mark)
    cuts = np.zeros(1, np.int64).tobytes()
    return Occurrences(
        *(NOWHERE, 0, 0, [], [0], b"", b"", b"", b"", [], b"", cuts, b""),
        marks=found["account"],
        tweet_marks=found["tweet"],
    )


class Reader:
    """Reads batches. Remembers which terms it has named, to name most once in ``NAME_AGAIN_MS``.

    Args:
        pane_ms: length of a pane.
        languages: whether tweets count for their language too.
    """

    def __init__(
        self,
        terms: TermReader,
        pane_ms: int,
        languages: bool = False,
    ) -> None:
        self._terms = terms
        self._pane_ms = pane_ms
        self._languages = languages
        self._named = np.zeros(NAMED_SLOTS, np.uint64)
        self._named_until = 0

    def read(self, partition: int, values: Sequence[bytes | None]) -> Occurrences:
        """The contribution of a batch of records of the tweets topic."""
        return self.contribution(partition, posts_of.read(values))

    def contribution(self, partition: int, found: Posts) -> Occurrences:
        """What these posts contribute."""
        if not found.public:
            empty = np.zeros(0, np.int64).tobytes()
            return Occurrences(
                partition, found.newest, found.clock, [], [0], b"", b"", b"", b"", [], b"", empty, b""
            )
        return self._occurrences(partition, found.newest, found.clock, found.public)

    def _occurrences(self, partition: int, newest: int, clock: int, posts: list[Post]) -> Occurrences:
        pane = np.asarray([post.ts for post in posts], np.int64) // self._pane_ms
        if np.any(pane[1:] < pane[:-1]):
            order = np.argsort(pane, kind="stable").tolist()
            posts, pane = [posts[index] for index in order], pane[order]
        terms = self._terms.read(
            [post.text or "" for post in posts],
            [post.lang or "" for post in posts],
            [post.hashtags for post in posts],
        )
        # One row per tweet and term; each tweet contains TOTAL.
        tweet = np.concatenate([np.arange(len(posts)), terms.tweet])
        written = np.concatenate([np.full(len(posts), TOTAL), terms.term | terms.kind])
        forms, sample, form = np.unique(written, return_index=True, return_inverse=True)
        starts = np.append(True, (forms[1:] & TERM_BITS) != (forms[:-1] & TERM_BITS))
        used, code = forms[starts] & TERM_BITS, (np.cumsum(starts) - 1)[form]
        if pane[0] != pane[-1]:
            order = np.argsort(tweet, kind="stable")
            tweet, code = tweet[order], code[order]
        # One row per place of each of those.
        places, place = self._places(posts)
        spread = place[tweet]
        row, column = np.nonzero(spread >= 0)
        keys, codes = _numbered(code[row] * len(places) + spread[row, column], len(used) * len(places))
        panes, first = np.unique(pane[tweet[row]], return_index=True)
        new = self._new_forms(forms, newest)
        cuts, text = terms.names(sample[new] - len(posts))
        return Occurrences(
            partition,
            newest,
            clock,
            panes.tolist(),
            [*first.tolist(), len(codes)],
            codes.astype(np.int32).tobytes(),
            author_hashes([post.author_id for post in posts]).tobytes(),
            used[keys // len(places)].tobytes(),
            (keys % len(places)).astype(np.int32).tobytes(),
            places,
            forms[new].tobytes(),
            cuts.tobytes(),
            text.tobytes(),
            tweets=tweet[row].astype(np.int32).tobytes(),
            ids=tweet_hashes([post.tweet_id for post in posts]).tobytes(),
        )

    def _places(self, posts: list[Post]) -> tuple[list[str], Ints]:
        """The names of the batch's places, and [posts, most places of a post] codes, -1 for none."""
        names: dict[str, int] = {}
        known: dict[tuple[str | None, str | None], int] = {}
        rows: list[tuple[int, ...]] = []
        which = []
        for post in posts:
            spot = (post.place, post.lang if self._languages else None)
            number = known.get(spot)
            if number is None:
                number = known[spot] = len(rows)
                found = places_of(*spot, self._languages)
                rows.append(tuple(names.setdefault(name, len(names)) for name in found))
            which.append(number)
        table = np.full((len(rows), max(map(len, rows))), -1, np.int64)
        for number, row in enumerate(rows):
            table[number, : len(row)] = row
        return list(names), table[np.asarray(which)]

    def _new_forms(self, forms: UInts, newest: int) -> Ints:
        """Indices of the forms (terms with their kind) that have no name yet."""
        if newest >= self._named_until:
            self._named[:], self._named_until = TOTAL, newest + NAME_AGAIN_MS
        slots = ((forms >> np.uint64(12)) ^ (forms & KIND_BITS)) & np.uint64(NAMED_SLOTS - 1)
        new = np.flatnonzero((self._named[slots] != forms) & (forms != TOTAL))
        self._named[slots[new]] = forms[new]
        return new


def _numbered(values: Ints, room: int) -> tuple[Ints, Ints]:
    """The distinct values, sorted, and each value's place among them."""
    if room > 1 << 23:
        return np.unique(values, return_inverse=True)
    present = np.zeros(room, np.bool_)
    present[values] = True
    number = np.cumsum(present) - 1
    return np.flatnonzero(present), number[values]


def author_hashes(authors: Sequence[int]) -> npt.NDArray[np.uint32]:
    """What authors are told apart by."""
    ids = np.asarray(authors, np.uint64)
    return (mixed(ids + np.uint64(1)) >> np.uint64(32)).astype(np.uint32)
