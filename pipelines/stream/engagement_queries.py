"""The SQL of the ``engagement`` job: from event tables to rows of changes per store shard.

Last writer wins per edge and per tweet, in one keyed operator. What that operator takes back and puts in its
place is turned into rows (TO_CHANGELOG), so that everything after it only adds up, and the changes of half a
second travel to Python as two arrays per shard.

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
from ingestion.lake import type_name
from ingestion.topics import ENGAGEMENTS, FOLLOWS, IMPRESSIONS, REPORTS, TWEETS
from pipelines.stream.sql_tables import is_event

Floats = NDArray[np.float64]

LIKE, RETWEET, FOLLOW, POST = range(4)
"""Kinds of edges."""

SHOWINGS_KEPT = "2 d"
LANDMARK_MS = 1_577_836_800_000
"""2020: what happens within 27 years of it has a weight that a double holds."""
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
    """A row of ``batches``: shard, content, and arrays.

    Of MARKS: ids and codes. Of PAIRS: readers (in place of ids), authors (of codes), standing, moments and
    weights, as ``pairs`` gives them.
    """

    def __getitem__(self, index: int) -> Any: ...


class Marks(NamedTuple):
    """Each int64 [n]: slot, sign (1, -1, or 0 for a mark that only makes the count newer), event time."""

    slots: Ints
    signs: Ints
    moments: Ints


def decode_marks(codes: Ints) -> Marks:
    """The parts of int64 [n] codes of ``marks``."""
    signs = codes % _SIGNS
    rest = codes // _SIGNS
    return Marks(rest % _SLOTS, np.where(signs == _MINUS, -1, signs), rest // _SLOTS)


def edges() -> str:
    """The last change of each edge, as a changelog.

    ``owner`` is the tweet, or the followee; a post is an edge of its own, and its deletion the last word.
    """
    created, deleted, retweeted = (
        is_event(event_type) for event_type in (TweetCreated, TweetDeleted, RetweetChanged)
    )
    is_retweet = f"`type` = '{type_name(RetweetChanged)}'"
    is_deletion = f"`type` = '{type_name(TweetDeleted)}'"
    nothing = "CAST(NULL AS BIGINT)"
    return f"""
        SELECT kind, owner, actor, author, parent, quoted, ts, active FROM (
            SELECT *, ROW_NUMBER() OVER (
                PARTITION BY kind, owner, actor ORDER BY ending DESC, ts DESC, event_id DESC) AS place
            FROM (
                SELECT {LIKE} AS kind, tweet_id AS owner, user_id AS actor, author_id AS author,
                    {nothing} AS parent, {nothing} AS quoted, ts, event_id, 0 AS ending, active
                FROM `{ENGAGEMENTS.name}` WHERE {is_event(LikeChanged)}
                UNION ALL
                SELECT {FOLLOW} AS kind, followee_id AS owner, follower_id AS actor, {nothing} AS author,
                    {nothing} AS parent, {nothing} AS quoted, ts, event_id, 0 AS ending, active
                FROM `{FOLLOWS.name}` WHERE {is_event(FollowChanged)}
                UNION ALL
                SELECT CASE WHEN {is_retweet} THEN {RETWEET} ELSE {POST} END AS kind, tweet_id AS owner,
                    CASE WHEN {is_retweet} THEN user_id ELSE CAST(0 AS BIGINT) END AS actor,
                    author_id AS author, in_reply_to AS parent, quote_of AS quoted, ts, event_id,
                    CASE WHEN {is_deletion} THEN 1 ELSE 0 END AS ending,
                    CASE WHEN {is_retweet} THEN active ELSE NOT {is_deletion} END AS active
                FROM `{TWEETS.name}` WHERE ({retweeted}) OR ({created}) OR ({deleted})
            )
        ) WHERE place = 1"""  # noqa: S608


def answers(edges_table: str) -> str:
    """Replies and quotes with the author of the tweet they are about, as a changelog."""
    return f"""
        SELECT about.author AS author, written.author AS actor, written.ts AS ts, written.active AS active
        FROM (
            SELECT id, author, ts, active FROM {edges_table} CROSS JOIN UNNEST(ARRAY[parent, quoted]) AS t(id)
            WHERE kind = {POST} AND id IS NOT NULL
        ) AS written
        JOIN (SELECT owner, author FROM {edges_table} WHERE kind = {POST}) AS about
            ON written.id = about.owner"""  # noqa: S608


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


def marks(edge_rows: str, answer_rows: str, showing_rows: str, partitions: int, shards: int) -> str:
    """Columns shard INT, id BIGINT, code BIGINT, arrival."""
    columns = ", ".join(
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
                SELECT *, {_sign("op", "active")} AS sign, {slots} AS slots FROM {edge_rows}
                WHERE op = '+' OR active
            ) CROSS JOIN UNNEST(ARRAY[{columns}]) WITH ORDINALITY AS t(id, side)
            UNION ALL
            SELECT author AS id, ts, {_sign("op", "active")} AS sign, {ACCOUNT.slot("received")} AS slot
            FROM {answer_rows} WHERE op = '+' OR active
            UNION ALL
            SELECT owner AS id, ts, {_sign("op", "TRUE")} AS sign, slot FROM {showing_rows}
        ) WHERE id IS NOT NULL"""  # noqa: S608


def pairs(edge_rows: str, answer_rows: str) -> str:
    """Per reader and author what stands and its weight relative to ``LANDMARK_MS``, as a changelog."""
    delta = "CASE op WHEN '+' THEN CAST(1 AS BIGINT) ELSE CAST(-1 AS BIGINT) END"
    age = f"CAST(ts - {LANDMARK_MS} AS DOUBLE) / {AFFINITY_S * 1000:E}"
    return f"""
        SELECT actor, author, SUM(delta) AS standing, MAX(ts) AS ts, SUM(delta * EXP({age})) AS weight
        FROM (
            SELECT actor, author, ts, active, {delta} AS delta
            FROM {edge_rows} WHERE kind IN ({LIKE}, {RETWEET})
            UNION ALL SELECT actor, author, ts, active, {delta} AS delta FROM {answer_rows}
        ) WHERE active GROUP BY actor, author"""  # noqa: S608


def arriving_pairs(pair_rows: str, partitions: int, shards: int) -> str:
    """What stands now, with its shard and its arrival."""
    return f"""
        SELECT CAST(MOD(MOD(actor, {partitions}), {shards}) AS INT) AS shard, actor, author, standing, weight,
            ts, PROCTIME() AS arrival
        FROM {pair_rows} WHERE op = '+'"""  # noqa: S608


def batches(marks_view: str, pairs_view: str, batch_ms: int) -> str:
    """Rows of one shard and ``batch_ms``, as :class:`Batch` names their columns."""
    window = f"SIZE => INTERVAL '{batch_ms / 1000:.3f}' SECOND"
    nothing = "ARRAY[CAST(0 AS BIGINT)]"
    return f"""
        SELECT shard, {MARKS} AS content, ARRAY_AGG(id) AS ids, ARRAY_AGG(code) AS codes,
            {nothing} AS standing, {nothing} AS moments, ARRAY[0E0] AS weights
        FROM TABLE(TUMBLE(DATA => TABLE {marks_view}, TIMECOL => DESCRIPTOR(arrival), {window}))
        GROUP BY shard, window_start, window_end
        UNION ALL
        SELECT shard, {PAIRS} AS content, ARRAY_AGG(actor) AS ids, ARRAY_AGG(author) AS codes,
            ARRAY_AGG(standing) AS standing, ARRAY_AGG(ts) AS moments, ARRAY_AGG(weight) AS weights
        FROM TABLE(TUMBLE(DATA => TABLE {pairs_view}, TIMECOL => DESCRIPTOR(arrival), {window}))
        GROUP BY shard, window_start, window_end"""  # noqa: S608


def affinities(standing: Ints, weights: Floats, moments: Ints) -> Floats:
    """float64 [n]: what the weights of ``pairs`` are worth at each pair's newest event."""
    worth = weights * np.exp(-(moments - LANDMARK_MS) / (AFFINITY_S * 1000))
    # What is left of rounding when all is taken back is no affinity.
    return np.where(standing > 0, np.maximum(worth, 0.0), 0.0)


def _sign(op: str, active: str) -> str:
    return f"CASE WHEN {op} = '-' THEN {_MINUS} WHEN {active} THEN 1 ELSE 0 END"


def _case(values: Sequence[str]) -> str:
    branches = " ".join(f"WHEN {kind} THEN {value}" for kind, value in zip(_EFFECTS, values, strict=True))
    return f"CASE kind {branches} END"
