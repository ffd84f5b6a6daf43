"""The catalogue of the features of lists: each entry has a name, a meaning and the fold that computes it.

All are float32; NaN is a missing value and the default. No entry sees the row's own label, or anything at or
after the row's moment: labels count once they are known, and only as of the row's ``counted``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from features.past import Past
from features.ranking_log import RESPONSES, VERBS
from features.running import Floats

LIFETIMES = {"1h": 1.0, "6h": 6.0, "1d": 24.0, "7d": 168.0, "30d": 720.0}
"""Hours over which a rate fades."""
SHOWN_WITHIN = {"1h": 1.0, "1d": 24.0, "7d": 168.0}
ACTED_WITHIN = {"5m": 1 / 12, "20m": 1 / 3, "1h": 1.0, "3h": 3.0, "8h": 8.0, "1d": 24.0}
"""Hours back that showings and acts are counted."""
PRIORS = {"light": 2.0, "heavy": 40.0}
OUTCOME_KEYS = {
    "item": "the item",
    "author": "the author",
    "user": "the reader",
    "topic": "the topic",
    "user_author": "the reader with the author",
    "user_topic": "the reader with the topic",
    "author_item": "the author with the item",
}
RESPONSE_KEYS = ("item", "author", "user", "user_author", "user_topic")
RANKED_OUTCOMES = ("item", "author", "user_author")
ACTS_BY = {
    "author_made": "acts by the author",
    "author_received": "acts on the author",
    "user": "acts by the reader",
    "user_author": "acts of the reader on the author",
    "author_user": "acts of the author on the reader",
    "item": "acts on the item",
    "user_item": "acts of the reader on the item",
    "followees": "acts of the reader's followees on the author",
    "ties": "acts on the author by those the reader had acted on",
}
BURSTS = (("5m", "1h"), ("20m", "3h"), ("1h", "8h"), ("3h", "1d"))
PER_FOLLOWER = (("author_received", "author_followers"), ("followees", "reader_follows"))
FOLLOWED = {
    "reader_follows": "accounts the reader follows",
    "author_followers": "known accounts that follow the author",
    "follows_back": "1 where the author follows the reader",
    "shared_followees": "accounts the reader follows that follow the author",
    "shared_of_followers": "shared_followees per author_followers",
}
ATTRIBUTES = {
    "age_hours": "hours since the post was written",
    "seen_hours": "hours since the author was last seen by then",
    "rating": "the rating that the post gives",
    "mentions_account": "1 where the post mentions an account",
    "is_retweet": "1 for a retweet",
    "followers": "the author's followers at the moment",
    "friends": "accounts the author follows at the moment",
    "statuses": "posts of the author by then",
    "favourites": "posts the author has liked by then",
    "listed": "lists that hold the author",
}
FITS = {
    "written": "mean likeness of the item's words to what the reader wrote",
    "followed": "mean likeness of the item's words to what the reader's followees wrote",
    "engaged": "mean likeness of the item's words to what the reader engaged with",
    "rate": "smoothed share of positives of the reader, each row weighing its likeness to the item's words",
}
MIXED_ODDS = "mixed_odds"
CHANGING = ("followers", "friends", "statuses", "favourites")
RATIOS = (
    ("followers", "friends"),
    ("favourites", "statuses"),
    ("listed", "followers"),
    ("statuses", "followers"),
)


@dataclass(frozen=True)
class ListFeature:
    """One float32 column: ``fold`` of the past, or the method of that name, called with ``of``.

    ``relative`` adds its rank among the rows of the same request as another column.
    """

    name: str
    meaning: str
    fold: str | Callable[[Past], Floats]
    of: tuple[str | float | None, ...] = ()
    relative: bool = False

    def compute(self, past: Past) -> Floats:
        """The value of every row, float64 [n]."""
        if callable(self.fold):
            return self.fold(past)
        values: Floats = getattr(past, self.fold)(*self.of)
        return values

    @property
    def rank_name(self) -> str:
        return f"{self.name}_rank"


def _outcomes(key: str, who: str) -> Iterator[ListFeature]:
    """What was shown of a key, and what came of it."""

    def entry(name: str, meaning: str, fold: str, *of: float | None) -> ListFeature:
        return ListFeature(f"{key}_{name}", meaning, fold, (key, *of), key in RANKED_OUTCOMES)

    yield entry("shown", f"rows of {who} shown before", "shown")
    for window, hours in SHOWN_WITHIN.items():
        yield entry(f"shown_{window}", f"rows of {who} shown in the last {window}", "shown", hours)
    yield entry("since_shown", f"hours since {who} was last shown", "since_shown")
    yield entry("since_first_shown", f"hours since {who} was first shown", "since_first_shown")
    yield entry("since_hit", f"hours since the last positive of {who} was known", "since_hit")
    yield entry("hits", f"positives of {who}", "hits")
    yield entry("rate", f"smoothed share of positives of {who}", "rate")
    yield entry("lift", f"positives of {who} over those expected by chance", "lift")
    for fading, hours in LIFETIMES.items():
        over = f"each weighing exp(-age / {fading})"
        yield entry(f"rate_{fading}", f"smoothed share of positives of {who}, {over}", "rate", hours)
        yield entry(
            f"lift_{fading}", f"positives of {who} over those expected by chance, {over}", "lift", hours
        )
    for name, weight in PRIORS.items():
        yield entry(f"rate_{name}", f"{key}_rate with a prior of weight {weight:g}", "rate", None, weight)
    yield entry("value", f"smoothed mean of log(1 + value) of {who}", "mean_value")


def _effects() -> Iterator[ListFeature]:
    """What each key adds to the log-odds beside the others."""
    for kind, who in OUTCOME_KEYS.items():
        meaning = f"what {who} adds to the log-odds of a positive beside the row's other keys"
        yield ListFeature(f"effect_{kind}", meaning, "effect", (kind,), kind in RANKED_OUTCOMES)
    yield ListFeature(
        "effect_all", "the sum of these effects, without the reader's own", "effect", ("all",), True
    )


def _responses() -> Iterator[ListFeature]:
    """What readers did besides, which nobody else sees."""
    for response, plural in RESPONSES.items():
        for key in RESPONSE_KEYS:
            meaning = f"smoothed share of {plural} of {OUTCOME_KEYS[key]}"
            yield ListFeature(
                f"{key}_{response}_rate", meaning, "response_rate", (key, response), key in RANKED_OUTCOMES
            )
        for kind, who in {**OUTCOME_KEYS, "all": "all of these but the reader"}.items():
            meaning = f"what {who} adds to the log-odds of {plural} beside the row's other keys"
            yield ListFeature(
                f"effect_{response}_{kind}",
                meaning,
                "response_effect",
                (kind, response),
                kind in (*RANKED_OUTCOMES, "all"),
            )
    meaning = "log-odds of a positive by a mixed model of the label, openings and long looks"
    yield ListFeature(MIXED_ODDS, meaning, "mixed_odds", (), True)


def _acts(by: str, what: str) -> Iterator[ListFeature]:
    """Acts by what they have in common with the row."""

    def entry(name: str, meaning: str, fold: str, *of: str | float | None) -> ListFeature:
        return ListFeature(name, meaning, fold, (by, *of), by != "user")

    yield entry(f"acts_{by}", what, "acted")
    yield entry(f"acts_{by}_since", f"hours since the last of {what}", "since_acted")
    for window, hours in ACTED_WITHIN.items():
        yield entry(f"acts_{by}_{window}", f"{what} in the last {window}", "acted", None, hours)
    if by in ("followees", "ties"):
        return
    for verb in VERBS:
        yield entry(f"acts_{by}_{verb}", f"{what} that are a {verb}", "acted", verb)
    for short, long in BURSTS if by.startswith("author_") and by != "author_user" else ():
        pace = f"logarithm of the pace of {what} in the last {short} over that of the last {long}"
        yield entry(f"burst_{by}_{short}_{long}", pace, "burst", ACTED_WITHIN[short], ACTED_WITHIN[long])


def _followed() -> Iterator[ListFeature]:
    """What the follow graph says."""
    for name, meaning in FOLLOWED.items():
        yield ListFeature(name, meaning, "followed", (name,), name != "reader_follows")
    for by, among in PER_FOLLOWER:
        for window in ("20m", "3h", "1d"):
            yield ListFeature(
                f"acts_{by}_{window}_of_{among}",
                f"{ACTS_BY[by]} in the last {window}, per {among}",
                "acted_per",
                (by, ACTED_WITHIN[window], among),
                True,
            )


def _fits() -> Iterator[ListFeature]:
    """What is written, by topics found anew every six hours."""
    for source, meaning in FITS.items():
        yield ListFeature(f"fit_{source}", meaning, "topic_fit", (source,), True)


def _attributes() -> Iterator[ListFeature]:
    """What is known of the row itself."""
    for name, meaning in ATTRIBUTES.items():
        yield ListFeature(name, meaning, "attribute", (name,), name in ("age_hours", "seen_hours"))
    for key, usual in (("author", "usual"), ("item", "item")):
        meaning = f"rating less its mean over earlier rows of the {key}"
        yield ListFeature(f"rating_above_{usual}", meaning, "above_mean", (key, "rating"))
    yield ListFeature("rating_of_item", "mean rating of the item's earlier rows", "mean", ("item", "rating"))
    for name in CHANGING:
        yield ListFeature(
            f"{name}_change", f"{name} less those at the author's previous row", "change", (name,)
        )
    for name, other in RATIOS:
        yield ListFeature(f"{name}_per_{other}", f"{name} over {other}", "ratio", (name, other))
    yield ListFeature("request_size", "rows of the request", "request_size")
    yield ListFeature("hour", "hour of the day, UTC", "hour")
    yield ListFeature("weekday", "day of the week, UTC, from 0 for Thursday", "weekday")


CATALOGUE: tuple[ListFeature, ...] = (
    *chain.from_iterable(_outcomes(key, who) for key, who in OUTCOME_KEYS.items()),
    *_effects(),
    *_responses(),
    *chain.from_iterable(_acts(by, what) for by, what in ACTS_BY.items()),
    *_followed(),
    *_fits(),
    *_attributes(),
)
