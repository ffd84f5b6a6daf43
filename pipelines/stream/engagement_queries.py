"""The SQL of the ``engagement`` job: from event tables to rows of changes per store shard.

Last writer wins per edge and per tweet. What is taken back and what takes its place are turned into rows
(TO_CHANGELOG), so that everything after it only adds up, and the changes of half a second travel to Python as
two arrays per shard.

A mark is a change of one count: an id, and a code of event time, slot and sign (``decode_marks``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from features.aggregates import ACCOUNT, SHOWING, TWEET, Ints
from features.names import AFFINITY_S
from ingestion.events import (
    ClientReport,
    FollowChanged,
    Impression,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.lake import columns
from ingestion.topics import ENGAGEMENTS, FOLLOWS, IMPRESSIONS, REPORTS, TWEETS
from pipelines.stream.sql_tables import is_event

Floats = NDArray[np.float64]

LIKE, RETWEET, FOLLOW, POST = range(4)
"""Kinds of edges."""

SHOWINGS_KEPT = "2 d"
LANDMARK_MS = 1_577_836_800_000
"""2020: what happens within 27 years of it has a weight that a double holds."""
# Added to a moment it makes a number of 16 digits; after the event's id comes what sorts before any letter.
_EPOCH = 10**15
_END = "U&'\\0001'"
_SLOTS = 16
_SIGNS = 4
_MINUS = 2

# What each kind of edge changes: the column with the id, and the slot.
_EFFECTS: dict[int, tuple[tuple[str, int], ...]] = {
    LIKE: (("owner", TWEET.slot("likes")), ("author", ACCOUNT.slot("received"))),
    RETWEET: (
        ("owner", TWEET.slot("retweets")),
        ("author", ACCOUNT.slot("received")),
        ("actor", ACCOUNT.slot("tweets")),
    ),
    FOLLOW: (("owner", ACCOUNT.slot("followers")), ("actor", ACCOUNT.slot("following"))),
    POST: (
        ("author", ACCOUNT.slot("tweets")),
        ("parent", TWEET.slot("replies")),
        ("quoted", TWEET.slot("quotes")),
    ),
}
_MOST_EFFECTS = max(map(len, _EFFECTS.values()))


MARKS, PAIRS = range(2)
"""What a row of ``batches`` is about."""


class Batch(Protocol):
    """A record of ``batches``: content, and arrays.

    Of MARKS: ids and codes. Of PAIRS: readers (in place of ids), authors (of codes), moments and weights, as
    ``arriving_pairs`` gives them.
    """

    def __getitem__(self, index: int) -> Any: ...


_READ = (LikeChanged, RetweetChanged, FollowChanged, TweetCreated, TweetDeleted, Impression, ClientReport)
USED = {column.name for event_type in _READ for column in columns(event_type) if column.required}
USED |= {"in_reply_to", "quote_of"}
"""The columns of the event tables that the queries name: others need not be decoded."""


class Marks(NamedTuple):
    """Each int64 [n]: slot, sign (1, -1, or 0 for a mark that only makes the count newer), event time."""

    slots: Ints
    signs: Ints
    moments: Ints


def encode_mark(slot: int, sign: int, moment: int) -> int:
    """The code of a mark, as ``marks`` makes it in SQL."""
    return (moment * _SLOTS + slot) * _SIGNS + (_MINUS if sign < 0 else sign)


def decode_marks(codes: Ints) -> Marks:
    """The parts of int64 [n] codes of ``marks``."""
    signs = codes % _SIGNS
    rest = codes // _SIGNS
    return Marks(rest % _SLOTS, np.where(signs == _MINUS, -1, signs), rest // _SLOTS)


def edges() -> str:
    """The last change of each edge between two ids, as a changelog; ``word`` orders and tells it.

    ``owner`` is the tweet, or the followee. Not by ROW_NUMBER: Flink 2.3 plans a rank below TO_CHANGELOG as
    if it only inserted, and what it takes back is lost.
    """
    nothing = "CAST(NULL AS BIGINT)"
    return f"""
        SELECT kind, owner, actor, MIN(author) AS author, MAX(CONCAT(CAST({_EPOCH} + ts AS STRING), event_id,
            {_END}, CASE WHEN active THEN '1' ELSE '0' END)) AS word
        FROM (
            SELECT {LIKE} AS kind, tweet_id AS owner, user_id AS actor, author_id AS author, ts, event_id,
                active
            FROM `{ENGAGEMENTS.name}` WHERE {is_event(LikeChanged)}
            UNION ALL
            SELECT {FOLLOW} AS kind, followee_id AS owner, follower_id AS actor, {nothing} AS author, ts,
                event_id, active
            FROM `{FOLLOWS.name}` WHERE {is_event(FollowChanged)}
            UNION ALL
            SELECT {RETWEET} AS kind, tweet_id AS owner, user_id AS actor, author_id AS author, ts, event_id,
                active
            FROM `{TWEETS.name}` WHERE {is_event(RetweetChanged)}
        ) GROUP BY kind, owner, actor"""  # noqa: S608


def posts() -> str:
    """Each tweet with its parent and quoted tweet while it stands, as a changelog; a deletion is final."""
    is_created, is_gone = is_event(TweetCreated), is_event(TweetDeleted)
    return f"""
        SELECT tweet_id AS owner, author, CASE WHEN gone THEN NULL ELSE parent END AS parent,
            CASE WHEN gone THEN NULL ELSE quoted END AS quoted, CASE WHEN gone THEN ended ELSE ts END AS ts,
            NOT gone AS active
        FROM (
            SELECT tweet_id, MIN(author_id) AS author, MIN(in_reply_to) AS parent, MIN(quote_of) AS quoted,
                MAX(ts) AS ts, MAX(CASE WHEN {is_gone} THEN ts END) AS ended,
                MAX(CASE WHEN {is_gone} THEN 1 ELSE 0 END) = 1 AS gone
            FROM `{TWEETS.name}` WHERE ({is_created}) OR ({is_gone}) GROUP BY tweet_id
        )"""  # noqa: S608


def answers(posts_view: str) -> str:
    """Replies and quotes with the author of the tweet they are about, as a changelog."""
    return f"""
        SELECT about.author AS author, written.author AS actor, written.ts AS ts
        FROM (
            SELECT id, author, ts FROM {posts_view} CROSS JOIN UNNEST(ARRAY[parent, quoted]) AS t(id)
            WHERE id IS NOT NULL
        ) AS written
        JOIN {posts_view} AS about ON written.id = about.owner"""  # noqa: S608


def changes(edge_rows: str, post_rows: str) -> str:
    """What began to stand (op +) and was taken back (op -), of edges and of posts."""
    nothing = "CAST(NULL AS BIGINT)"
    return f"""
        SELECT op, kind, owner, actor, author, {nothing} AS parent, {nothing} AS quoted,
            CAST(SUBSTRING(word FROM 1 FOR {len(str(_EPOCH))}) AS BIGINT) - {_EPOCH} AS ts,
            word LIKE '%1' AS active
        FROM {edge_rows}
        UNION ALL
        SELECT op, {POST} AS kind, owner, CAST(0 AS BIGINT) AS actor, author, parent, quoted, ts, active
        FROM {post_rows}"""  # noqa: S608


def shown() -> str:
    """A row for each (tweet, page) shown or opened, with its slot; as often as the log says so."""
    opened = f"{is_event(ClientReport)} AND action = 'open'"
    return f"""
        SELECT tweet_id, request_id, {SHOWING.slot("impressions")} AS slot, ts
        FROM `{IMPRESSIONS.name}` WHERE {is_event(Impression)}
        UNION ALL
        SELECT tweet_id, feed_request_id AS request_id, {SHOWING.slot("clicks")} AS slot, ts
        FROM `{REPORTS.name}` WHERE {opened}"""  # noqa: S608


def showings(shown_view: str) -> str:
    """Each row of ``shown`` once, with its first time, as a changelog.

    A page is remembered for as long as a duplicate of its impression may come.
    """
    return f"""
        SELECT /*+ STATE_TTL('{shown_view}' = '{SHOWINGS_KEPT}') */ tweet_id AS owner, slot, MIN(ts) AS ts
        FROM {shown_view} GROUP BY tweet_id, request_id, slot"""  # noqa: S608


def as_rows(view: str) -> str:
    """A changelog as rows that only add up: ``op`` is + for what stands now, - for what is taken back."""
    return f"""
        SELECT * FROM TO_CHANGELOG(input => TABLE {view}, op => DESCRIPTOR(op),
            op_mapping => MAP['INSERT, UPDATE_AFTER', '+', 'UPDATE_BEFORE, DELETE', '-'])"""  # noqa: S608


def marks(changes_view: str, answer_rows: str, showing_rows: str, partitions: int, shards: int) -> str:
    """Columns shard INT, id BIGINT, code BIGINT, arrival."""
    changed = ", ".join(
        _case([effects[at][0] if at < len(effects) else "NULL" for effects in _EFFECTS.values()])
        for at in range(_MOST_EFFECTS)
    )
    # The slots of an edge's effects as digits of one number, from which the effect's place picks.
    slots = _case([str(sum(slot * _SLOTS**at for at, (_, slot) in enumerate(e))) for e in _EFFECTS.values()])
    return f"""
        SELECT CAST(MOD(MOD(id, {partitions}), {shards}) AS INT) AS shard, id,
            (ts * {_SLOTS} + slot) * {_SIGNS} + sign AS code, PROCTIME() AS arrival
        FROM (
            SELECT id, ts, sign, MOD(slots / CAST(POWER({_SLOTS}, side - 1) AS INT), {_SLOTS}) AS slot
            FROM (
                SELECT *, {_sign("op", "active")} AS sign, {slots} AS slots FROM {changes_view}
                WHERE op = '+' OR active
            ) CROSS JOIN UNNEST(ARRAY[{changed}]) WITH ORDINALITY AS t(id, side)
            UNION ALL
            SELECT author AS id, ts, {_sign("op", "TRUE")} AS sign, {ACCOUNT.slot("received")} AS slot
            FROM {answer_rows}
            UNION ALL
            SELECT owner AS id, ts, {_sign("op", "TRUE")} AS sign, slot FROM {showing_rows}
        ) WHERE id IS NOT NULL"""  # noqa: S608


def pairs(changes_view: str, answer_rows: str) -> str:
    """Per reader and author what stands and its weight relative to ``LANDMARK_MS``, as a changelog."""
    delta = "CASE op WHEN '+' THEN CAST(1 AS BIGINT) ELSE CAST(-1 AS BIGINT) END"
    age = f"CAST(ts - {LANDMARK_MS} AS DOUBLE) / {AFFINITY_S * 1000:E}"
    return f"""
        SELECT actor, author, SUM(delta) AS standing, MAX(ts) AS ts, SUM(delta * EXP({age})) AS weight
        FROM (
            SELECT actor, author, ts, {delta} AS delta
            FROM {changes_view} WHERE kind IN ({LIKE}, {RETWEET}) AND active
            UNION ALL SELECT actor, author, ts, {delta} AS delta FROM {answer_rows}
        ) GROUP BY actor, author"""  # noqa: S608


def arriving_pairs(pair_rows: str, partitions: int, shards: int) -> str:
    """What stands now, with its shard and its arrival; what is left of rounding has no weight."""
    return f"""
        SELECT CAST(MOD(MOD(actor, {partitions}), {shards}) AS INT) AS shard, actor, author, ts,
            CASE WHEN standing > 0 THEN weight ELSE 0E0 END AS weight, PROCTIME() AS arrival
        FROM {pair_rows} WHERE op = '+'"""  # noqa: S608


def batches(marks_view: str, pairs_view: str, batch_ms: int) -> str:
    """Rows of a shard and what came for it within ``batch_ms``, a :class:`Batch`."""
    window = f"SIZE => INTERVAL '{batch_ms / 1000:.3f}' SECOND"
    return f"""
        SELECT shard, ROW({MARKS}, ARRAY_AGG(id), ARRAY_AGG(code), ARRAY[CAST(0 AS BIGINT)], ARRAY[0E0])
            AS record
        FROM TABLE(TUMBLE(DATA => TABLE {marks_view}, TIMECOL => DESCRIPTOR(arrival), {window}))
        GROUP BY shard, window_start, window_end
        UNION ALL
        SELECT shard, ROW({PAIRS}, ARRAY_AGG(actor), ARRAY_AGG(author), ARRAY_AGG(ts), ARRAY_AGG(weight))
            AS record
        FROM TABLE(TUMBLE(DATA => TABLE {pairs_view}, TIMECOL => DESCRIPTOR(arrival), {window}))
        GROUP BY shard, window_start, window_end"""  # noqa: S608


def affinities(weights: Floats, moments: Ints) -> Floats:
    """float64 [n]: what the weights of ``pairs`` are worth at each pair's newest event."""
    worth: Floats = weights * np.exp(-(moments - LANDMARK_MS) / (AFFINITY_S * 1000))
    return worth


def _sign(op: str, active: str) -> str:
    return f"CASE WHEN {op} = '-' THEN {_MINUS} WHEN {active} THEN 1 ELSE 0 END"


def _case(values: Sequence[str]) -> str:
    branches = " ".join(f"WHEN {kind} THEN {value}" for kind, value in zip(_EFFECTS, values, strict=True))
    return f"CASE kind {branches} END"
