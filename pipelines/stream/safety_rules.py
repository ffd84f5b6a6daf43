"""What the ``safety`` job takes for spam and fake engagement: signals over windows, and verdicts on them.

Windows are an hour long and begin every half hour, in event time, so that an hour's burst is whole in one of
them, to within the half hour. A signal is one row: the rule, the account, and the tweet where there is one.
``signals_of`` is the plain definition of what the job's SQL (``safety_queries``) finds.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ingestion.events import (
    AccountRegistered,
    AnyEvent,
    FollowChanged,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
)
from timelines.durations import HOUR_MS

WINDOW_MS = HOUR_MS
SLIDE_MS = HOUR_MS // 2
YOUNG_MS = 24 * HOUR_MS

Rule = Literal["engagement_rate", "identical_text", "fake_engagement", "follow_churn"]
Verdict = Literal["allow", "limit", "quarantine"]
SEVERITY: dict[Verdict, int] = {"allow": 0, "limit": 1, "quarantine": 2}

NOISE = r"(?:https?://\S+|[@#]\w*|[^\w@#]|\d|_)+"
"""What makes no difference between two texts (Java's and Python's regular expressions agree on it)."""


@dataclass(frozen=True)
class Limits:
    """From how much on it is too much, each within one window.

    Attributes:
        rate: distinct tweets that an account liked or retweeted for the first time.
        copies: distinct tweets of one text, of at least ``text_length`` letters.
        engagers: young accounts (registered less than a day ago) that engaged with a tweet for the first
            time, and at least ``young_share`` of all who did.
        unfollows: accounts that were left.
        repeats: tweets of an account with a signal, from which the account is quarantined itself.
    """

    rate: int = 50
    copies: int = 5
    text_length: int = 20
    engagers: int = 8
    young_share: float = 0.5
    unfollows: int = 20
    repeats: int = 2


class Signal(NamedTuple):
    """``tweet`` is 0 where the rule is about the account alone."""

    rule: Rule
    account: int
    tweet: int


class Mark(NamedTuple):
    verdict: Verdict
    reason: str


Target = tuple[Literal["account", "tweet"], int]


def windows_of(ts_ms: int) -> tuple[int, int]:
    """The starts of the two windows that a moment lies in, ms UTC."""
    start = ts_ms - ts_ms % SLIDE_MS
    return start, start - SLIDE_MS


def fingerprint(text: str) -> str:
    """The text without links, names, numbers, punctuation and case."""
    return re.sub(NOISE, " ", text).strip().lower()


def signals_of(events: Iterable[AnyEvent], limits: Limits) -> set[Signal]:
    """Every signal that a log holds, whatever its order and however often it says the same."""
    born: dict[int, int] = {}
    acts: dict[tuple[int, int], int] = {}
    engaged: dict[tuple[int, int], set[int]] = defaultdict(set)
    engagers: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    copies: dict[tuple[str, int], set[tuple[int, int]]] = defaultdict(set)
    left: dict[tuple[int, int], set[int]] = defaultdict(set)
    for event in events:
        match event:
            case AccountRegistered():
                born[event.user_id] = min(event.created_at, born.get(event.user_id, event.created_at))
            case LikeChanged(active=True) | RetweetChanged(active=True):
                act = (event.user_id, event.tweet_id)
                acts[act] = min(event.ts, acts.get(act, event.ts))
            case TweetCreated() if event.text is not None:
                text = fingerprint(event.text)
                if len(text) >= limits.text_length:
                    for window in windows_of(event.ts):
                        copies[text, window].add((event.author_id, event.tweet_id))
            case FollowChanged(active=False):
                for window in windows_of(event.ts):
                    left[event.follower_id, window].add(event.followee_id)
    for (user, tweet), ts in acts.items():
        for window in windows_of(ts):
            engaged[user, window].add(tweet)
            engagers[tweet, window][user] = ts
    found = {Signal("engagement_rate", user, 0) for (user, _), t in engaged.items() if len(t) >= limits.rate}
    found |= {Signal("follow_churn", user, 0) for (user, _), f in left.items() if len(f) >= limits.unfollows}
    for written in copies.values():
        if len({tweet for _, tweet in written}) >= limits.copies:
            found |= {Signal("identical_text", author, tweet) for author, tweet in written}
    for (tweet, _), first in engagers.items():
        young = [user for user, ts in first.items() if user in born and ts - born[user] < YOUNG_MS]
        if len(young) >= limits.engagers and len(young) >= limits.young_share * len(first):
            found |= {Signal("fake_engagement", user, tweet) for user in young}
    return found


def marks_of(signals: Iterable[Signal], limits: Limits) -> dict[Target, Mark]:
    """The verdict on every account and tweet with a signal: the worst that a rule gives, and that rule."""
    marks: dict[Target, Mark] = {}
    tweets: dict[tuple[int, Rule], set[int]] = defaultdict(set)

    def mark(target: Target, verdict: Verdict, rule: Rule) -> None:
        before = marks.get(target)
        worse = before is None or (SEVERITY[verdict], before.reason) > (SEVERITY[before.verdict], rule)
        if worse:
            marks[target] = Mark(verdict, rule)

    for signal in signals:
        if signal.tweet:
            mark(("tweet", signal.tweet), "quarantine", signal.rule)
            tweets[signal.account, signal.rule].add(signal.tweet)
        else:
            mark(("account", signal.account), "limit", signal.rule)
    for (account, rule), seen in tweets.items():
        if len(seen) >= limits.repeats:
            mark(("account", account), "quarantine", rule)
    return marks
