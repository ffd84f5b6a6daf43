"""The columns of a world's tables (``schema.py``), from what people are and from what readers did."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestion.world.answers import ALSO_LIKED, LIKED
from ingestion.world.days import Burst, Originals, ids_of
from ingestion.world.people import Floats, Follows, Ints, People
from ingestion.world.plan import PLACES, WorldPlan
from ingestion.world.reading import Log
from ingestion.world.reporting import ReportChances, make_reports
from ingestion.world.schema import FILES
from ingestion.world.writing import Vocabulary, write_texts
from timelines.durations import HOUR_MS

Columns = dict[str, Any]
UNDO_SHARE = 0.01


def _rows(rows: list[tuple[int, int, int]]) -> tuple[Ints, Ints, Ints]:
    """Readers, originals and moments of acts, by time."""
    values = np.asarray(rows, dtype=np.int64).reshape(-1, 3)
    values = values[np.lexsort((values[:, 0], values[:, 2]))]
    return values[:, 0], values[:, 1], values[:, 2]


def accounts(plan: WorldPlan, people: People) -> Columns:
    user = np.arange(plan.users) + 1
    return {
        "user_id": user,
        "ts": np.full(plan.users, plan.start_ms - 2000),
        "handle": [f"user{number}" for number in user],
        "display_name": [f"User {number}" for number in user],
        "place": [PLACES[place] for place in people.place],
    }


def follows(plan: WorldPlan, follows: Follows) -> Columns:
    follower = follows.follower + 1
    made = np.where(follows.since_ms == plan.start_ms, plan.start_ms - 1000, follows.since_ms)
    left = follows.until_ms < plan.end_ms
    return {
        "ts": np.concatenate([made, follows.until_ms[left]]),
        "follower_id": np.concatenate([follower, follower[left]]),
        "followee_id": np.concatenate([follows.followee, follows.followee[left]]) + 1,
        "active": np.concatenate([np.ones(len(made), dtype=bool), np.zeros(int(left.sum()), dtype=bool)]),
    }


def tweets(
    plan: WorldPlan,
    people: People,
    originals: Originals,
    log: Log,
    vocabulary: Vocabulary,
    rng: np.random.Generator,
) -> Columns:
    kinds = [(log.replies, "in_reply_to", 2), (log.quotes, "quote_of", 4)]
    author, ts, ids = [originals.author], [originals.ts], [originals.tweet_id]
    topic, burst = [originals.topic], [originals.burst]
    referred: dict[str, list[int | None]] = {name: [None] * len(originals.ts) for _, name, _ in kinds}
    mentions: list[list[int]] = [[] for _ in originals.ts]
    for rows, name, machine in kinds:
        reader, original, at = _rows(rows)
        author.append(reader)
        ts.append(at)
        ids.append(ids_of(at, machine))
        topic.append(originals.topic[original])
        burst.append(np.full(len(at), -1))
        for _, other, _ in kinds:
            referred[other].extend(
                originals.tweet_id[original].tolist() if other == name else [None] * len(at)
            )
        replied = name == "in_reply_to"
        mentions.extend([int(who)] if replied else [] for who in originals.author[original] + 1)
    texts, tags = write_texts(vocabulary, np.concatenate(topic), np.concatenate(burst), rng)
    for index, named in enumerate(mentions):
        if named:
            texts[index] = f"@user{named[0]} {texts[index]}"[:280]
    every_ts, every_id, every_author = np.concatenate(ts), np.concatenate(ids), np.concatenate(author)
    order = np.lexsort((every_id, every_ts)).tolist()
    return {
        "tweet_id": every_id[order],
        "ts": every_ts[order],
        "author_id": every_author[order] + 1,
        "text": [texts[index] for index in order],
        "lang": ["en"] * len(order),
        "place": [PLACES[people.place[every_author[index]]] for index in order],
        "in_reply_to": [referred["in_reply_to"][index] for index in order],
        "quote_of": [referred["quote_of"][index] for index in order],
        "hashtags": [tags[index] for index in order],
        "mentions": [mentions[index] for index in order],
    }


def _undone(at: Ints, plan: WorldPlan, rng: np.random.Generator) -> tuple[Any, Ints]:
    """Which acts are taken back, and when."""
    later = at + 5000 + rng.exponential(HOUR_MS, len(at)).astype(np.int64)
    undone = (rng.random(len(at)) < UNDO_SHARE) & (later < plan.end_ms)
    return undone, later[undone]


def retweets(originals: Originals, log: Log, plan: WorldPlan, rng: np.random.Generator) -> Columns:
    reader, original, at = _rows(log.retweets)
    ids = ids_of(at, machine=3)
    undone, later = _undone(at, plan, rng)

    def twice(values: Ints) -> Ints:
        both: Ints = np.concatenate([values, values[undone]])
        return both

    return {
        "retweet_id": twice(ids),
        "ts": np.concatenate([at, later]),
        "user_id": twice(reader) + 1,
        "tweet_id": twice(originals.tweet_id[original]),
        "author_id": twice(originals.author[original]) + 1,
        "active": np.concatenate([np.ones(len(at), dtype=bool), np.zeros(len(later), dtype=bool)]),
    }


def likes(originals: Originals, log: Log, plan: WorldPlan, rng: np.random.Generator) -> Columns:
    reader, original, at = _rows(log.likes)
    undone, later = _undone(at, plan, rng)
    return {
        "ts": np.concatenate([at, later]),
        "user_id": np.concatenate([reader, reader[undone]]) + 1,
        "tweet_id": np.concatenate([originals.tweet_id[original], originals.tweet_id[original][undone]]),
        "author_id": np.concatenate([originals.author[original], originals.author[original][undone]]) + 1,
        "active": np.concatenate([np.ones(len(at), dtype=bool), np.zeros(len(later), dtype=bool)]),
    }


def deletes(plan: WorldPlan, originals: Originals, deleted_ms: Ints) -> Columns:
    gone = np.flatnonzero(deleted_ms < plan.end_ms)
    gone = gone[np.argsort(deleted_ms[gone], kind="stable")]
    return {
        "ts": deleted_ms[gone],
        "tweet_id": originals.tweet_id[gone],
        "author_id": originals.author[gone] + 1,
    }


def impressions(originals: Originals, log: Log) -> Columns:
    session, position, reader, original, ts = np.asarray(log.shown, dtype=np.int64).reshape(-1, 5).T
    return {
        "ts": ts,
        "request_id": [str(number) for number in session.tolist()],
        "user_id": reader + 1,
        "tweet_id": originals.tweet_id[original],
        "author_id": originals.author[original] + 1,
        "position": position,
    }


def engaging(log: Log) -> tuple[Floats, NDArray[np.bool_]]:
    """Of each item shown the chance that it is engaged with, and whether its author was followed."""
    drawn = np.asarray([(row[0], row[4]) for row in log.truth], dtype=np.float64).reshape(-1, 2)
    # Only who is not followed adds nothing at all.
    return drawn[:, 0], drawn[:, 1] != 0.0


def reports(
    plan: WorldPlan, originals: Originals, shown: Ints, chances: ReportChances, rng: np.random.Generator
) -> Columns:
    session, position, reader, original, ts = shown.T
    item, actions, looks, at = make_reports(plan, chances, position, ts, rng)
    return {
        "ts": at,
        "request_id": [str(number) for number in session[item].tolist()],
        "user_id": reader[item] + 1,
        "tweet_id": originals.tweet_id[original[item]],
        "author_id": originals.author[original[item]] + 1,
        "position": position[item],
        "action": actions,
        "ms": looks,
    }


def truth(originals: Originals, log: Log, chances: ReportChances) -> Columns:
    names = FILES["truth_impressions"].names[6:15]
    drawn = zip(*log.truth, strict=True) if log.truth else ([] for _ in names)
    columns = {**impressions(originals, log), **dict(zip(names, drawn, strict=True))}
    retweeted = np.asarray(columns["p_retweeted"], dtype=np.float64)
    otherwise = np.asarray(columns["p_engaged"], dtype=np.float64) - retweeted
    return {
        **columns,
        "p_liked": ALSO_LIKED * retweeted + LIKED * otherwise,
        "p_replied": (1 - LIKED) * otherwise,
        "p_opened": chances.opened,
        "p_dwelt": chances.dwelt,
        "p_hidden": chances.hidden,
    }


def bursts(bursts: tuple[Burst, ...], vocabulary: Vocabulary, originals: Originals) -> Columns:
    members = [originals.author[originals.burst == number] for number in range(len(bursts))]
    return {
        "hashtag": list(vocabulary.burst_tags),
        "place": [PLACES[burst.place] for burst in bursts],
        "start_ms": [burst.start_ms for burst in bursts],
        "end_ms": [burst.end_ms for burst in bursts],
        "tweets": [len(authors) for authors in members],
        "authors": [len(set(authors.tolist())) for authors in members],
    }


def users(people: People, follows: Follows) -> Columns:
    users = len(people.quality)
    return {
        "user_id": np.arange(users) + 1,
        "topics": list(people.topics.astype(np.float32)),
        "quality": people.quality,
        "activity": people.activity,
        "followers": np.bincount(follows.followee, minlength=users),
    }
