"""A planted attack: new accounts that spam one text, fake engagement, and follow only to unfollow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ingestion.world.days import ids_of
from ingestion.world.plan import PLACES, WorldPlan
from ingestion.world.schema import FILES
from timelines.durations import HOUR_MS, MINUTE_MS

ROLES = ("spam", "fake", "churn")
TEXTS = (
    "Unbelievable prices only today at the grand opening of our store",
    "I earned so much from home this week and you can do the same",
    "Your account was chosen for a present please confirm your address now",
)
COPIES, PROMOTED, LIKED, FOLLOWED = 4, 8, 60, 45

Rows = dict[str, dict[str, list[Any]]]


def plant(plan: WorldPlan, tables: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """``tables`` with the acts of ``plan.attackers`` accounts, a third of them for each role, and the truth.

    The attack begins at six tenths of the world; its accounts are registered in the hours before. Spammers
    post one of ``TEXTS`` with another link each time; fakers like and retweet ``PROMOTED`` tweets of their
    own and like others' besides; churners follow and unfollow.
    """
    begin = plan.start_ms + (plan.end_ms - plan.start_ms) * 6 // 10
    rows: Rows = {stem: {name: [] for name in schema.names} for stem, schema in FILES.items()}
    accounts = [plan.users + 1 + index for index in range(plan.attackers)]
    roles = {account: ROLES[index % len(ROLES)] for index, account in enumerate(accounts)}
    for account in accounts:
        registered = begin - int(rng.integers(MINUTE_MS, 6 * HOUR_MS))
        place = PLACES[int(rng.integers(len(PLACES)))]
        handle, name = f"user{account}", f"User {account}"
        _add(rows, "accounts", user_id=account, ts=registered, handle=handle, display_name=name, place=place)
        _truth(rows, roles[account], account, None)
    spammers, fakers, churners = ([a for a in accounts if roles[a] == role] for role in ROLES)
    posts = [(spammer, index % len(TEXTS)) for index, spammer in enumerate(spammers) for _ in range(COPIES)]
    promoted = [(fakers[index % len(fakers)], -1) for index in range(PROMOTED)] if fakers else []
    written = _posts(rows, [*posts, *promoted], begin, rng)
    for (author, text), tweet in zip([*posts, *promoted], written, strict=True):
        _truth(rows, "spam" if text >= 0 else "fake", author, tweet)
    _engage(rows, fakers, written[len(posts) :], [a for a, _ in promoted], begin, rng, tables)
    _churn(rows, churners, plan, begin, rng)
    return {stem: _merged(stem, table, rows[stem]) for stem, table in tables.items()}


def _posts(rows: Rows, posts: list[tuple[int, int]], begin: int, rng: np.random.Generator) -> list[int]:
    moments = np.sort(begin + rng.integers(0, 40 * MINUTE_MS, len(posts)))
    tweets: list[int] = ids_of(moments, machine=5).tolist()
    # Who posts when is shuffled, or every spammer would have a slot of its own.
    order = rng.permutation(len(posts)).tolist()
    placed = [0] * len(posts)
    for place, index in enumerate(order):
        author, text = posts[index]
        placed[index] = tweets[place]
        words = f"My holiday in picture {place}" if text < 0 else f"{TEXTS[text]} https://x.test/{place}"
        _add(
            rows,
            "tweets",
            tweet_id=tweets[place],
            ts=int(moments[place]),
            author_id=author,
            text=words,
            lang="en",
            place=PLACES[0],
            in_reply_to=None,
            quote_of=None,
            hashtags=[],
            mentions=[],
        )
    return placed


def _engage(
    rows: Rows,
    fakers: list[int],
    promoted: list[int],
    authors: list[int],
    begin: int,
    rng: np.random.Generator,
    tables: Mapping[str, Any],
) -> None:
    until = begin + HOUR_MS
    others = tables["tweets"].select(["tweet_id", "ts", "author_id"]).to_pydict()
    known = [place for place, ts in enumerate(others["ts"]) if begin - 24 * HOUR_MS < ts < begin]
    acts: list[tuple[int, int, int, int]] = []
    for faker in fakers:
        for tweet, author in zip(promoted, authors, strict=True):
            ts = until + int(rng.integers(0, 30 * MINUTE_MS))
            _add(rows, "likes", ts=ts, user_id=faker, tweet_id=tweet, author_id=author, active=True)
            if rng.random() < 0.5:
                acts.append((ts + 1000, faker, tweet, author))
        for place in rng.choice(known, min(LIKED, len(known)), replace=False).tolist():
            _add(
                rows,
                "likes",
                ts=until + int(rng.integers(0, 25 * MINUTE_MS)),
                user_id=faker,
                tweet_id=others["tweet_id"][place],
                author_id=others["author_id"][place],
                active=True,
            )
    acts.sort()
    ids = ids_of(np.array([ts for ts, *_ in acts], dtype=np.int64), machine=6).tolist() if acts else []
    for retweet, (ts, user, tweet, author) in zip(ids, acts, strict=True):
        edge = {"user_id": user, "tweet_id": tweet, "author_id": author}
        _add(rows, "retweets", retweet_id=retweet, ts=ts, **edge, active=True)


def _churn(rows: Rows, churners: list[int], plan: WorldPlan, begin: int, rng: np.random.Generator) -> None:
    for churner in churners:
        for followee in (rng.choice(plan.users, FOLLOWED, replace=False) + 1).tolist():
            made = begin + int(rng.integers(0, HOUR_MS))
            gone = begin + HOUR_MS + int(rng.integers(MINUTE_MS, 30 * MINUTE_MS))
            for ts, active in ((made, True), (gone, False)):
                _add(rows, "follows", ts=ts, follower_id=churner, followee_id=followee, active=active)


def _truth(rows: Rows, role: str, account: int, tweet: int | None) -> None:
    _add(rows, "truth_attacks", role=role, user_id=account, tweet_id=tweet)


def _add(rows: Rows, stem: str, **values: Any) -> None:
    for name, column in rows[stem].items():
        column.append(values[name])


def _merged(stem: str, table: Any, added: dict[str, list[Any]]) -> Any:
    more = pa.table({name: pa.array(added[name], FILES[stem].field(name).type) for name in FILES[stem].names})
    both = pa.concat_tables([table, more.cast(FILES[stem])])
    return both.sort_by([("ts", "ascending")]) if "ts" in FILES[stem].names and len(more) else both
