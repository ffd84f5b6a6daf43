"""The SQL of the ``engagement`` job: from event tables to counts of tweets and accounts, as a changelog.

Everything that counts is a mark: an id of a family, a pane, the slot of the count it adds to, and whether it
stands. Last-writer-wins per edge and per tweet, then one aggregation over all marks, in small batches.
"""

from __future__ import annotations

from features.aggregates import PANE_MS
from ingestion.events import FollowChanged, LikeChanged, RetweetChanged, TweetCreated, TweetDeleted
from ingestion.topics import ENGAGEMENTS, FOLLOWS, TWEETS
from pipelines.stream.sql_tables import is_clock, is_event

TWEET, ACCOUNT, CLOCK = "tweet", "account", "clock"
"""Families: slots of a tweet are ``aggregates.SLOTS``, of an account followers, following, tweets."""

_ZERO = "CAST(0 AS BIGINT)"
COLUMNS = ("family", "id", "pane", "n0", "n1", "n2", "n3", "changed")


def edges() -> str:
    """The last change of each edge: kind, owner (tweet or followee), actor, ts, active."""
    changes = " UNION ALL ".join(
        f"SELECT '{kind}' AS kind, {owner} AS owner, {actor} AS actor, ts, event_id, active "  # noqa: S608
        f"FROM `{topic.name}` WHERE {is_event(event_type)}"
        for kind, owner, actor, topic, event_type in (
            ("like", "tweet_id", "user_id", ENGAGEMENTS, LikeChanged),
            ("retweet", "tweet_id", "user_id", TWEETS, RetweetChanged),
            ("follow", "followee_id", "follower_id", FOLLOWS, FollowChanged),
        )
    )
    return f"""
        SELECT kind, owner, actor, ts, active FROM (
            SELECT *, ROW_NUMBER() OVER (
                PARTITION BY kind, owner, actor ORDER BY ts DESC, event_id DESC) AS place
            FROM ({changes})
        ) WHERE place = 1"""  # noqa: S608


def posts() -> str:
    """The last word on each tweet; a deletion stays the last, and has neither parent nor quoted tweet."""
    changes = " UNION ALL ".join(
        f"SELECT tweet_id, author_id, in_reply_to, quote_of, ts, event_id, {standing} AS standing "  # noqa: S608
        f"FROM `{TWEETS.name}` WHERE {is_event(event_type)}"
        for event_type, standing in ((TweetCreated, "TRUE"), (TweetDeleted, "FALSE"))
    )
    return f"""
        SELECT tweet_id, author_id, in_reply_to, quote_of, ts, standing FROM (
            SELECT *, ROW_NUMBER() OVER (
                PARTITION BY tweet_id ORDER BY standing, ts DESC, event_id DESC) AS place
            FROM ({changes})
        ) WHERE place = 1"""  # noqa: S608


def counts(edges_table: str, posts_table: str, shards: int) -> str:
    """One row per family, id and pane: its four counts and the newest event time behind them (ms UTC).

    A row of ``edges`` marks its two ends, one of ``posts`` its author, parent and quoted tweet. A clock row
    per shard carries how far event time was said to be. The arrays depend on the row, as those of constants
    would be planned as a join with state.
    """
    slots = ", ".join(f"COUNT(*) FILTER (WHERE slot = {slot} AND stands) AS n{slot}" for slot in range(4))
    shard_ids = ", ".join(f"ts - ts + {shard}" for shard in range(shards))
    return f"""
        SELECT family, id, pane, {slots}, COALESCE(MAX(ts), {_ZERO}) AS changed
        FROM (
            SELECT family, COALESCE(id, {_ZERO}) AS id, slot, ts, stands,
                CASE WHEN family = '{TWEET}' THEN COALESCE(ts - MOD(ts, {PANE_MS}), {_ZERO})
                    ELSE {_ZERO} END AS pane
            FROM (
                SELECT CASE WHEN kind = 'follow' OR side = 2 THEN '{ACCOUNT}' ELSE '{TWEET}' END AS family,
                    id, CASE kind WHEN 'follow' THEN side - 1 WHEN 'like' THEN 0 ELSE side END AS slot,
                    ts, active AS stands
                FROM {edges_table} CROSS JOIN UNNEST(ARRAY[owner, actor]) WITH ORDINALITY AS s(id, side)
                WHERE NOT (kind = 'like' AND side = 2)
                UNION ALL
                SELECT CASE WHEN side = 1 THEN '{ACCOUNT}' ELSE '{TWEET}' END AS family,
                    id, CASE WHEN side = 3 THEN 3 ELSE 2 END AS slot, ts, standing AS stands
                FROM {posts_table}
                CROSS JOIN UNNEST(ARRAY[author_id, in_reply_to, quote_of]) WITH ORDINALITY AS s(id, side)
                WHERE id IS NOT NULL
                UNION ALL
                SELECT '{CLOCK}' AS family, shard AS id, 0 AS slot, ts, TRUE AS stands
                FROM `{ENGAGEMENTS.name}` CROSS JOIN UNNEST(ARRAY[{shard_ids}]) AS s(shard)
                WHERE {is_clock()}
            )
        ) GROUP BY family, id, pane"""  # noqa: S608
