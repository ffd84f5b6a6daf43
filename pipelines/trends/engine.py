"""All trends, fed with records of occurrences: closes panes, and says what is to be shown and stored.

No clock, no store and no Flink: what it does follows from the records and from when they are said to come.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from pipelines.trends.board import Board, Row, Scored
from pipelines.trends.hashing import Bools, Ints, UInts, name_hashes
from pipelines.trends.listing import Candidate
from pipelines.trends.marks import Mark, Quarantine
from pipelines.trends.occurrences import NOWHERE, Occurrences, author_hashes
from pipelines.trends.plan import TrendPlan
from pipelines.trends.progress import Progress
from pipelines.trends.recent_tweets import LAST_TURN, UNKNOWN, RecentTweets, contributions, tweet_hashes
from pipelines.trends.terms import place_term

STATE_VERSION = 2
WITHOUT_TWEETS = 1
"""The version of a state in which no tweet is known, and none in quarantine."""
MOST_TWEET_MARKS = 100_000
_record = msgspec.msgpack.Decoder(Occurrences)
_marks = msgspec.msgpack.Decoder(list[Mark])
_records = msgspec.msgpack.Decoder(list[Occurrences])
_encoder = msgspec.msgpack.Encoder()


class Page(NamedTuple):
    """What readers see of a place and window; ``as_of`` in ms UTC."""

    place: str
    window: str
    as_of: int
    items: list[Candidate]


class TrendEngine:
    """Args:
    partitions: of the topic that the records come from.
    """

    def __init__(self, plan: TrendPlan, partitions: int) -> None:
        self.plan = plan
        self._progress = Progress(partitions, plan.idle_ms)
        self._board = Board(plan)
        self._pending: dict[int, list[Occurrences]] = {}
        self._accounts = Quarantine(author_hashes)
        self._tweets = Quarantine(tweet_hashes, MOST_TWEET_MARKS)
        self._recent = RecentTweets(plan.max_pairs)
        self._scored: dict[int, tuple[int, Scored]] = {}

    def begin(self, now_ms: int) -> None:
        """Call once, before records come, and after a restart."""
        self._progress.begin(now_ms)

    def take(self, record: bytes, now_ms: int) -> None:
        """Collect a record of ``Occurrences``; ``now_ms`` is when it came."""
        found = _record.decode(record)
        if found.partition != NOWHERE:
            self._progress.hear(found.partition, found.newest, found.clock, now_ms)
        self._accounts.judge(found.marks)
        self._tweets.judge(found.tweet_marks)
        self._collect(found)

    def close_panes(self, now_ms: int) -> list[Row]:
        """Close what is complete; rows for the analysts of every pane on which a window slides."""
        for late in [pane for pane in self._pending if self._begun and pane <= self._board.windows.now]:
            self._enter(late)
        rows: list[Row] = []
        while (pane := self._complete(now_ms)) is not None:
            if not self._begun or self._board.windows.empty:
                self._board.windows.start(pane)
            self._leave_out()
            self._board.windows.skip_to(pane)
            self._board.windows.slide()
            self._enter(pane)
            for i, window in enumerate(self.plan.windows):
                if (pane + 1) % window.beat == 0 or pane == self._board.windows.begin:
                    scored = self._board.score(i)
                    self._scored[i] = (self._board.as_of, scored)
                    if (pane + 1) % window.slide == 0:
                        rows += self._board.table(i, scored)
            if self._board.compact():
                self._scored = {i: (self._board.as_of, self._board.score(i)) for i in self._scored}
        return rows

    def pages(self) -> list[Page]:
        """The pages of the windows whose lists may have changed; they are what readers see next."""
        pages = [
            Page(place, self.plan.windows[i].name, as_of, items)
            for i, (as_of, scored) in self._scored.items()
            for place, items in self._board.pages(i, scored).items()
        ]
        self._scored.clear()
        return pages

    def pack(self) -> bytes:
        """The whole state."""
        waiting = {id(found): found for records in self._pending.values() for found in records}
        return _encoder.encode(
            {
                "version": STATE_VERSION,
                "progress": self._progress.pack(),
                "board": self._board.pack(),
                "marks": _encoder.encode(self._accounts.pack()),
                "tweet_marks": _encoder.encode(self._tweets.pack()),
                "tweets": self._recent.pack(),
                "pending": _encoder.encode(list(waiting.values())),
                "panes": sorted(self._pending),
            }
        )

    def unpack(self, state: bytes) -> None:
        """Back to the moment of ``pack``, in a new engine of the same plan.

        Raises:
            ValueError: the state is of another version.
        """
        packed = msgspec.msgpack.decode(state)
        if packed["version"] not in (WITHOUT_TWEETS, STATE_VERSION):
            raise ValueError(f"The state of trends has version {packed['version']}, not {STATE_VERSION}.")
        self._progress.unpack(packed["progress"])
        self._board.unpack(packed["board"])
        self._accounts.judge(_marks.decode(packed["marks"]))
        if packed["version"] != WITHOUT_TWEETS:
            self._tweets.judge(_marks.decode(packed["tweet_marks"]))
            self._recent.unpack(packed["tweets"])
        for found in _records.decode(packed["pending"]):
            self._collect(found, only=set(packed["panes"]))

    @property
    def changed(self) -> bool:
        """Whether pages may have changed since they were last asked for."""
        return bool(self._scored)

    @property
    def _begun(self) -> bool:
        return self._board.windows.begin is not None

    def _leave_out(self) -> None:
        """Who and what came into quarantine counts no more, nor has ever counted in a window.

        Who is let out counts from then on. Pages change only with a pane, so this waits for one.
        """
        windows = self._board.windows
        if len(accounts := self._accounts.take_new()):
            windows.leave_out(accounts)
        if len(tweets := self._tweets.take_new()):
            windows.take_back(*self._recent.find(tweets))

    def _collect(self, found: Occurrences, only: set[int] | None = None) -> None:
        for pane in found.panes:
            if only is None or pane in only:
                self._pending.setdefault(pane, []).append(found)
        if found.named:
            self._board.names.learn(
                np.frombuffer(found.named, np.uint64),
                np.frombuffer(found.cuts, np.int64),
                np.frombuffer(found.text, np.uint32),
                found.newest,
            )

    def _complete(self, now_ms: int) -> int | None:
        """The next pane to close, if every partition is past it."""
        windows = self._board.windows
        if not self._begun or windows.empty:
            if not self._pending:
                return None
            pane = min(self._pending)
        else:
            pane = windows.now + 1
            if pane not in self._pending and self._board.quiet:
                # Long pauses, such as between recordings of different years, are not walked through.
                pane = min([*self._pending, windows.next_leave()])
        newest = max(max(self._pending, default=pane - 1), pane - 1)
        recorded = (newest + 1) * self.plan.pane_ms + self.plan.late_ms
        end = (pane + 1) * self.plan.pane_ms + self.plan.late_ms
        return pane if self._progress.reached(recorded, now_ms) >= end else None

    def _enter(self, pane: int) -> None:
        records = self._pending.pop(pane, [])
        if not records:
            return
        keys, terms, places, codes, tweets, ids, authors = [], [], [], [], [], [], []
        before = tweets_before = 0
        for found in records:
            at = found.panes.index(pane)
            rows = slice(found.bounds[at], found.bounds[at + 1])
            used, code = np.unique(np.frombuffer(found.codes, np.int32)[rows], return_inverse=True)
            term = np.frombuffer(found.terms, np.uint64)[used]
            where = np.frombuffer(found.place_codes, np.int32)[used]
            keys.append(place_term(term, name_hashes(found.places)[where]))
            terms.append(term)
            places.append(self._board.place_ids(found.places)[where])
            codes.append(code + before)
            tweet, its_ids, its_authors = found.tweets_in(rows)
            tweets.append(tweet + tweets_before)
            ids.append(its_ids)
            authors.append(its_authors)
            before += len(used)
            tweets_before += len(its_ids)
        row = self._rows(np.concatenate(keys), np.concatenate(terms), np.concatenate(places))
        code, tweet = np.concatenate(codes), np.concatenate(tweets)
        counts, contribution = self._contributions(pane, np.concatenate(ids), np.concatenate(authors))
        if not np.all(counts):
            code, tweet = code[counts[tweet]], tweet[counts[tweet]]
        self._board.enter(pane, row[code], contribution[tweet])

    def _contributions(self, pane: int, ids: UInts, authors: npt.NDArray[np.uint32]) -> tuple[Bools, UInts]:
        """Which tweets count, and the ``contributions`` of all of them; those that count are remembered."""
        counts = ~(self._accounts.has(authors) | self._tweets.has(ids))
        turns = np.full(len(ids), LAST_TURN, np.uint8)
        known = np.flatnonzero(counts & (ids != UNKNOWN))
        oldest = self._board.windows.now - self.plan.longest
        turns[known] = self._recent.add(pane, ids[known], authors[known], oldest)
        return counts, contributions(authors, turns)

    def _rows(self, keys: UInts, terms: UInts, places: Ints) -> Ints:
        distinct, sample, which = np.unique(keys, return_index=True, return_inverse=True)
        slots = self._board.windows.term_slots(distinct, terms[sample], places[sample])
        rows: Ints = slots[which]
        return rows
