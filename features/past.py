"""The past of every candidate: a log's folds, made once each and asked as of the row's moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from features.ranking_log import VERBS, RankingLog
from features.running import UNKNOWN, Floats, Ints, Running, pair_keys
from features.social_proof import degree, followee_acts, follows_back, shared_followees

HOUR_MS = 3_600_000
UNUSED = np.zeros(0, dtype=np.int64)
PRIOR_WEIGHT = 10.0
LIFT_WEIGHT = 0.5
Fold = TypeVar("Fold")


class Past:
    """What features of ``log`` are computed from; all answers are float64 [n], one per candidate."""

    def __init__(self, log: RankingLog) -> None:
        self.log = log
        self.rows = log.candidates
        self._made: dict[tuple[object, ...], object] = {}

    def keys(self, name: str) -> Ints:
        """The rows' codes of an entity, of a pair ("user_author") or, for "all", the same for every row."""
        if name == "all":
            return np.zeros(len(self.rows), dtype=np.int64)
        first, _, second = name.partition("_")
        codes: Ints = getattr(self.rows, first)
        return pair_keys(codes, getattr(self.rows, second)) if second else codes

    # What was shown, and what came of it

    def shown(self, key: str, within_hours: float | None = None) -> Floats:
        """Rows of the key shown before."""
        within = None if within_hours is None else int(within_hours * HOUR_MS)
        return self._showings(key).count(self.keys(key), self.rows.time, within)

    def since_shown(self, key: str) -> Floats:
        return self._showings(key).since_last(self.keys(key), self.rows.time)

    def since_first_shown(self, key: str) -> Floats:
        return self._showings(key).since_first(self.keys(key), self.rows.time)

    def rate(self, key: str, hours: float | None = None) -> Floats:
        """Smoothed share of positive labels, (hits + w * prior) / (shown + w), each fading over ``hours``.

        The prior is the share among all rows by then, and only labels known by then count.
        """
        prior = self._fold("label", "all", hours) / np.maximum(self._fold("one", "all", hours), 1e-9)
        hits, shown = self._fold("label", key, hours), self._fold("one", key, hours)
        return (hits + PRIOR_WEIGHT * prior) / (shown + PRIOR_WEIGHT)

    def lift(self, key: str, hours: float | None = None) -> Floats:
        """Hits over those expected if each request's positives fell on its rows by chance, smoothed to 1."""
        hits, expected = self._fold("label", key, hours), self._fold("expected", key, hours)
        return (hits + LIFT_WEIGHT) / (expected + LIFT_WEIGHT)

    def mean_value(self, key: str, hours: float | None = None) -> Floats:
        """Smoothed mean of log(1 + value)."""
        prior = self._fold("value", "all", hours) / np.maximum(self._fold("one", "all", hours), 1e-9)
        total, shown = self._fold("value", key, hours), self._fold("one", key, hours)
        return (total + PRIOR_WEIGHT * prior) / (shown + PRIOR_WEIGHT)

    def since_hit(self, key: str) -> Floats:
        """Hours since the key's newest positive label became known."""

        def make() -> Running:
            keys = np.where(self.rows.judged & (self.rows.label > 0), self.keys(key), UNKNOWN)
            return Running(keys, self.rows.known)

        return self._once(("hits", key), make).since_last(self.keys(key), self.rows.counted)

    def mean_attribute(self, key: str, attribute: str) -> Floats:
        """The mean of an attribute over the key's earlier rows; NaN without one."""

        def make() -> Running:
            values = self.rows.attributes[attribute]
            keys = np.where(np.isnan(values), UNKNOWN, self.keys(key))
            return Running(keys, self.rows.time, np.nan_to_num(values))

        if attribute not in self.rows.attributes:
            return self.missing
        running = self._once(("mean", key, attribute), make)
        keys, times = self.keys(key), self.rows.time
        count = running.count(keys, times)
        return np.divide(running.total(keys, times), count, out=self.missing, where=count > 0)

    # Acts

    def acted(self, by: str, verb: str | None = None, within_hours: float | None = None) -> Floats:
        """Acts before, counted ``by`` what they have in common with the row (see ``_acts``)."""
        within = None if within_hours is None else int(within_hours * HOUR_MS)
        running, keys = self._acts(by, verb)
        return running.count(keys, self.rows.time, within)

    def acted_decayed(self, by: str, hours: float) -> Floats:
        running, keys = self._acts(by, None)
        return running.decayed(keys, self.rows.time, hours * HOUR_MS)

    def since_acted(self, by: str, verb: str | None = None) -> Floats:
        running, keys = self._acts(by, verb)
        return running.since_last(keys, self.rows.time)

    # Who follows whom

    def followed(self, what: str) -> Floats:
        """What the follow graph says (a name of ``FOLLOWED``); NaN where there is none."""
        follows, users, authors = self.log.follows, self.rows.user, self.rows.author
        if not len(follows.follower):
            return self.missing
        if what == "reader_follows":
            return degree(users, follows.follower)
        if what == "author_followers":
            return degree(authors, follows.followee)
        if what == "follows_back":
            return follows_back(follows, users, authors)
        return shared_followees(follows, users, authors)

    @property
    def missing(self) -> Floats:
        return np.full(len(self.rows), np.nan)

    def attribute(self, name: str) -> Floats:
        return self.rows.attributes.get(name, self.missing)

    def _acts(self, by: str, verb: str | None) -> tuple[Running, Ints]:
        acts, rows = self.log.acts, self.rows
        act_keys, row_keys = {
            "user": (acts.user, rows.user),
            "author_made": (acts.user, rows.author),
            "author_received": (acts.author, rows.author),
            "item": (acts.item, rows.item),
            "user_author": (pair_keys(acts.user, acts.author), self.keys("user_author")),
            "author_user": (pair_keys(acts.user, acts.author), pair_keys(rows.author, rows.user)),
            "user_item": (pair_keys(acts.user, acts.item), self.keys("user_item")),
            "followees": (UNUSED, self.keys("user_author")),
        }[by]

        def make() -> Running:
            if by == "followees":
                return followee_acts(acts, self.log.follows, rows.user, rows.author)
            kept = slice(None) if verb is None else acts.verb == VERBS.index(verb)
            return Running(act_keys[kept], acts.time[kept])

        if not len(acts.time):
            row_keys = np.full(len(rows), UNKNOWN)
        return self._once(("acts", by, verb), make), row_keys

    def _showings(self, key: str) -> Running:
        return self._once(("shown", key), lambda: Running(self.keys(key), self.rows.time))

    def _fold(self, what: str, key: str, hours: float | None) -> Floats:
        """A sum over the key's known labels as of ``counted``, fading over ``hours`` where given."""

        def values() -> Floats:
            if what == "one":
                return np.ones(len(self.rows))
            if what == "value":
                return np.log1p(self.rows.value)
            if what == "label":
                return self.rows.label
            sizes, positives = self.request_sizes, np.bincount(self._requests, self.rows.label)
            return positives[self._requests] / sizes

        def make() -> Floats:
            running = self._once(
                ("outcomes", what, key),
                lambda: Running(
                    np.where(self.rows.judged, self.keys(key), UNKNOWN), self.rows.known, values()
                ),
            )
            keys, times = self.keys(key), self.rows.counted
            if hours is None:
                return running.total(keys, times)
            return running.decayed(keys, times, hours * HOUR_MS)

        return self._once(("fold", what, key, hours), make)

    @property
    def _requests(self) -> Ints:
        return self._once(("requests",), lambda: np.unique(self.rows.request, return_inverse=True)[1])

    @property
    def request_sizes(self) -> Floats:
        return np.bincount(self._requests)[self._requests].astype(np.float64)

    def _once(self, name: tuple[object, ...], make: Callable[[], Fold]) -> Fold:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]  # type: ignore[return-value]
