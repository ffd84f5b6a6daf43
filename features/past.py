"""The past of every candidate: a log's folds, made once each and asked as of the row's moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

import numpy as np

from features.effects import running_effects
from features.follow_graph import followees, followers, follows_back, shared_followees
from features.mixed_model import mixed_odds
from features.ranking_log import VERBS, RankingLog
from features.running import UNKNOWN, Floats, Ints, Running, pair_keys
from features.social_proof import followee_acts, tied_acts
from features.topic_fit import topic_fits
from timelines.durations import DAY_MS, HOUR_MS

PRIOR_WEIGHT = 10.0
LIFT_WEIGHT = 0.5
FOLLOWERS_WEIGHT = 5.0
EFFECT_VARIANCES = {
    "item": 1.0,
    "author": 1.0,
    "user": 0.5,
    "topic": 0.3,
    "user_author": 1.0,
    "user_topic": 0.5,
    "author_item": 0.5,
}
MIXED_KEYS = ("item", "author", "user_author", "user_topic")
Fold = TypeVar("Fold")


class Past:
    """What the features of ``log`` are computed from; all answers are float64 [n], one per candidate."""

    def __init__(self, log: RankingLog) -> None:
        self.log = log
        self.rows = log.candidates
        self._made: dict[tuple[object, ...], object] = {}

    # What was shown, and what came of it

    def shown(self, key: str, within_hours: float | None = None) -> Floats:
        """Rows of the key shown before."""
        return self._showings(key).count(self._keys(key), self.rows.time, _milliseconds(within_hours))

    def since_shown(self, key: str) -> Floats:
        """Hours since the key was last shown."""
        return self._showings(key).since_last(self._keys(key), self.rows.time)

    def since_first_shown(self, key: str) -> Floats:
        """Hours since the key was first shown."""
        return self._showings(key).since_first(self._keys(key), self.rows.time)

    def hits(self, key: str) -> Floats:
        """Positive labels of the key that are known."""
        return self._sum("label", key, None)

    def rate(self, key: str, hours: float | None = None, weight: float = PRIOR_WEIGHT) -> Floats:
        """Smoothed share of positive labels, (hits + w * prior) / (shown + w), each fading over ``hours``.

        The prior is the share among all rows by then, and only labels known by then count.
        """
        return self._smoothed("label", key, hours, weight)

    def response_rate(self, key: str, response: str) -> Floats:
        """As ``rate``, of a response; NaN where nobody reports it."""
        return self._smoothed(response, key, None, PRIOR_WEIGHT) if self._reported(response) else self.missing

    def mean_value(self, key: str) -> Floats:
        """Smoothed mean of log(1 + value)."""
        return self._smoothed("value", key, None, PRIOR_WEIGHT)

    def lift(self, key: str, hours: float | None = None) -> Floats:
        """Hits over those expected if each request's positives fell on its rows by chance, smoothed to 1."""
        hits, expected = self._sum("label", key, hours), self._sum("expected", key, hours)
        return (hits + LIFT_WEIGHT) / (expected + LIFT_WEIGHT)

    def since_hit(self, key: str) -> Floats:
        """Hours since the key's newest positive label became known."""

        def make() -> Running:
            positive = self.rows.judged & (self.rows.label > 0)
            return Running(np.where(positive, self._keys(key), UNKNOWN), self.rows.known)

        return self._once(("hits", key), make).since_last(self._keys(key), self.rows.counted)

    def effect(self, kind: str) -> Floats:
        """What a key adds to the log-odds, as :func:`running_effects`; "all" sums all but "user"."""
        return self._effects("label").get(kind, self.missing)

    def response_effect(self, kind: str, response: str) -> Floats:
        """As ``effect``, on the log-odds of a response; NaN where nobody reports it."""
        return self._effects(response).get(kind, self.missing) if self._reported(response) else self.missing

    def mixed_odds(self) -> Floats:
        """Log-odds of a positive by all that readers do, as :func:`mixed_odds`; NaN where nobody reports it.

        What it knows of a row are its age, the acts on its item, and how well that fits the reader.
        """
        if not self.rows.responses:
            return self.missing
        # A post of later than its showing, by a clock that is off, is new.
        counts = np.log1p(np.maximum([self.attribute("age_hours"), self.acted("item")], 0.0))
        known = np.column_stack(
            [*counts, *(self.topic_fit(name) for name in ("written", "followed", "engaged"))]
        )
        keys = {kind: self._keys(kind) for kind in MIXED_KEYS}
        return mixed_odds(
            self.rows, keys, np.nan_to_num(known), [self.rows.label, *self.rows.responses.values()]
        )

    # What is known of the row itself

    def attribute(self, name: str) -> Floats:
        """An attribute; NaN where this data has none of that name."""
        return self.rows.attributes.get(name, self.missing)

    def ratio(self, name: str, other: str) -> Floats:
        """One attribute over another, each with 1 added."""
        return (self.attribute(name) + 1.0) / (self.attribute(other) + 1.0)

    def mean(self, key: str, attribute: str) -> Floats:
        """The mean of an attribute over the key's earlier rows; NaN without one."""
        values = self.attribute(attribute)

        def make() -> Running:
            keys = np.where(np.isnan(values), UNKNOWN, self._keys(key))
            return Running(keys, self.rows.time, np.nan_to_num(values))

        running = self._once(("mean", key, attribute), make)
        keys, times = self._keys(key), self.rows.time
        count = running.count(keys, times)
        return np.divide(running.total(keys, times), count, out=self.missing, where=count > 0)

    def above_mean(self, key: str, attribute: str) -> Floats:
        """An attribute less its mean over the key's earlier rows."""
        return self.attribute(attribute) - self.mean(key, attribute)

    def change(self, attribute: str) -> Floats:
        """An attribute less what it was at the author's previous row; NaN without one."""
        values, keys = self.attribute(attribute), self._keys("author")
        before = self._once(("change", attribute), lambda: Running(keys, self.rows.time, values))
        return values - before.latest(keys, self.rows.time)

    def request_size(self) -> Floats:
        """How many rows were shown together."""
        return np.bincount(self._requests)[self._requests].astype(np.float64)

    def hour(self) -> Floats:
        """The hour of the day, UTC."""
        return self.rows.time % DAY_MS / HOUR_MS

    def weekday(self) -> Floats:
        """The day of the week, UTC, from 0 for Thursday."""
        return (self.rows.time // DAY_MS % 7).astype(np.float64)

    # What is written

    def topic_fit(self, source: str) -> Floats:
        """How well the item's words fit the reader by a ``source`` of its taste, as :func:`topic_fits`."""
        return self._once(("topic_fits",), lambda: topic_fits(self.log))[source]

    # Acts

    def acted(self, by: str, verb: str | None = None, within_hours: float | None = None) -> Floats:
        """Acts before, counted ``by`` what they have in common with the row."""
        running, keys = self._acts(by, verb)
        return running.count(keys, self.rows.time, _milliseconds(within_hours))

    def since_acted(self, by: str) -> Floats:
        """Hours since the last of such acts."""
        running, keys = self._acts(by, None)
        return running.since_last(keys, self.rows.time)

    def burst(self, by: str, short: float, long: float) -> Floats:
        """Logarithm of the pace of acts in the last ``short`` hours over that in the last ``long``."""
        recent, usual = self.acted(by, None, short), self.acted(by, None, long) * short / long
        return np.asarray(np.log((recent + 1.0) / (usual + 1.0)))

    def acted_per(self, by: str, within_hours: float, among: str) -> Floats:
        """Acts of the last hours per account ``among`` whom they count, smoothed."""
        return self.acted(by, None, within_hours) / (self.followed(among) + FOLLOWERS_WEIGHT)

    # Who follows whom

    def followed(self, what: str) -> Floats:
        """What the follow graph says (a name of ``list_features.FOLLOWED``); NaN where there is none."""
        follows, users, authors, times = self.log.follows, self.rows.user, self.rows.author, self.rows.time
        if not len(follows.follower):
            return self.missing
        if what == "shared_of_followers":
            return self.followed("shared_followees") / (self.followed("author_followers") + FOLLOWERS_WEIGHT)
        makers: dict[str, Callable[[], Floats]] = {
            "reader_follows": lambda: followees(follows, users, times),
            "author_followers": lambda: followers(follows, authors, times),
            "follows_back": lambda: follows_back(follows, users, authors, times),
            "shared_followees": lambda: shared_followees(follows, users, authors, times),
        }
        return self._once(("followed", what), makers[what])

    @property
    def missing(self) -> Floats:
        return np.full(len(self.rows), np.nan)

    def _keys(self, name: str) -> Ints:
        """The rows' codes of an entity, of a pair ("user_author") or, for "all", the same for every row."""
        if name == "all":
            return np.zeros(len(self.rows), dtype=np.int64)
        first, _, second = name.partition("_")
        codes: Ints = getattr(self.rows, first)
        return pair_keys(codes, getattr(self.rows, second)) if second else codes

    def _acts(self, by: str, verb: str | None) -> tuple[Running, Ints]:
        """The acts by what they have in common with a row, and that of each row."""
        acts, rows = self.log.acts, self.rows
        pairs = self._keys("user_author")
        by_pair: dict[str, Callable[[], Running]] = {
            "followees": lambda: followee_acts(acts, self.log.follows, rows.user, rows.author),
            "ties": lambda: tied_acts(acts, rows.user, rows.author),
        }
        if not len(acts.time) or (by == "followees" and not len(self.log.follows.follower)):
            nobody = np.full(len(rows), UNKNOWN)
            return Running(nobody, rows.time), nobody
        if by in by_pair:
            return self._once(("acts", by), by_pair[by]), pairs
        act_keys, row_keys = {
            "user": (acts.user, rows.user),
            "author_made": (acts.user, rows.author),
            "author_received": (acts.author, rows.author),
            "item": (acts.item, rows.item),
            "user_author": (pair_keys(acts.user, acts.author), pairs),
            "author_user": (pair_keys(acts.user, acts.author), pair_keys(rows.author, rows.user)),
            "user_item": (pair_keys(acts.user, acts.item), self._keys("user_item")),
        }[by]
        kept = np.full(len(acts.time), True) if verb is None else acts.verb == VERBS.index(verb)
        return self._once(("acts", by, verb), lambda: Running(act_keys[kept], acts.time[kept])), row_keys

    def _reported(self, response: str) -> bool:
        return response in self.rows.responses

    def _effects(self, what: str) -> dict[str, Floats]:
        def make() -> dict[str, Floats]:
            keys = {name: self._keys(name) for name in EFFECT_VARIANCES}
            rows = self.rows if what == "label" else replace(self.rows, label=self.rows.responses[what])
            effects = running_effects(rows, keys, EFFECT_VARIANCES)
            ordering = [values for name, values in effects.items() if name != "user"]
            return effects | {"all": np.nansum(ordering, axis=0) if ordering else self.missing}

        return self._once(("effects", what), make)

    def _showings(self, key: str) -> Running:
        return self._once(("shown", key), lambda: Running(self._keys(key), self.rows.time))

    def _smoothed(self, what: str, key: str, hours: float | None, weight: float) -> Floats:
        prior: Floats = self._sum(what, "all", hours) / np.maximum(self._sum("one", "all", hours), 1e-9)
        sums, shown = self._sum(what, key, hours), self._sum("one", key, hours)
        smoothed: Floats = (sums + weight * prior) / (shown + weight)
        return smoothed

    def _sum(self, what: str, key: str, hours: float | None) -> Floats:
        """A sum over the key's known labels as of ``counted``, fading over ``hours`` where given."""
        values: dict[str, Callable[[], Floats]] = {
            "one": lambda: np.ones(len(self.rows)),
            "label": lambda: self.rows.label,
            "value": lambda: np.log1p(self.rows.value),
            "expected": self._expected,
        }

        def outcomes() -> Running:
            keys = np.where(self.rows.judged, self._keys(key), UNKNOWN)
            amounts = values[what]() if what in values else self.rows.responses[what]
            return Running(keys, self.rows.known, amounts)

        def make() -> Floats:
            running = self._once(("outcomes", what, key), outcomes)
            lifetime = np.inf if hours is None else hours * HOUR_MS
            return running.decayed(self._keys(key), self.rows.counted, lifetime)

        return self._once(("sum", what, key, hours), make)

    def _expected(self) -> Floats:
        """The positives of a row's request over its rows."""
        positives = np.bincount(self._requests, self.rows.label)
        return positives[self._requests] / self.request_size()

    @property
    def _requests(self) -> Ints:
        def make() -> Ints:
            return np.unique(self.rows.request, return_inverse=True)[1].astype(np.int64)

        return self._once(("requests",), make)

    def _once(self, name: tuple[object, ...], make: Callable[[], Fold]) -> Fold:
        if name not in self._made:
            self._made[name] = make()
        return cast(Fold, self._made[name])


def _milliseconds(hours: float | None) -> int | None:
    return None if hours is None else int(hours * HOUR_MS)
