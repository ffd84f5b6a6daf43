"""The SQL of the ``safety`` job: from event tables to signals, as ``safety_rules.signals_of`` defines them.

Everything is counted by distinct tweet or account, so a redelivery or a change of mind adds nothing. Only
what passes a limit leaves the JVM; what came before it in the same window follows by a join.
"""

from __future__ import annotations

from ingestion.events import AccountRegistered, FollowChanged, LikeChanged, RetweetChanged, TweetCreated
from ingestion.lake import columns
from ingestion.topics import ENGAGEMENTS, FOLLOWS, TWEETS, USERS
from pipelines.stream.safety_rules import NOISE, SLIDE_MS, YOUNG_MS, Limits
from pipelines.stream.sql_tables import is_event

_READ = (AccountRegistered, LikeChanged, RetweetChanged, TweetCreated, FollowChanged)
USED = {column.name for event_type in _READ for column in columns(event_type) if column.required}
USED |= {"text"}
"""The columns of the event tables that the queries name."""


def acts() -> str:
    """The first like or retweet of each tweet by an account."""
    return f"""
        SELECT user_id AS actor, tweet_id, MIN(ts) AS ts FROM (
            SELECT user_id, tweet_id, ts FROM `{ENGAGEMENTS.name}` WHERE {is_event(LikeChanged)} AND active
            UNION ALL
            SELECT user_id, tweet_id, ts FROM `{TWEETS.name}` WHERE {is_event(RetweetChanged)} AND active
        ) GROUP BY user_id, tweet_id"""  # noqa: S608


def young(acts_view: str) -> str:
    """The acts of accounts that were young then."""
    return f"""
        SELECT a.actor, a.tweet_id, a.ts
        FROM {acts_view} AS a JOIN (
            SELECT user_id, MIN(created_at) AS born FROM `{USERS.name}` WHERE {is_event(AccountRegistered)}
            GROUP BY user_id
        ) AS b ON a.actor = b.user_id AND a.ts - b.born < {YOUNG_MS}"""  # noqa: S608


def copies(limits: Limits) -> str:
    """Tweets by what their text comes to, in the windows that they lie in."""
    return f"""
        SELECT words, author_id, tweet_id, opens FROM (
            SELECT LOWER(TRIM(REGEXP_REPLACE(text, '(?U){NOISE}', ' '))) AS words, author_id, tweet_id, ts
            FROM `{TWEETS.name}` WHERE {is_event(TweetCreated)} AND text IS NOT NULL
        ) {_in_windows()} WHERE CHAR_LENGTH(words) >= {limits.text_length}"""  # noqa: S608


def signals(acts_view: str, young_view: str, copies_view: str, limits: Limits) -> str:
    """Columns rule STRING, account BIGINT, tweet BIGINT (0 for none), as a changelog."""
    none = "CAST(0 AS BIGINT)"
    return f"""
        SELECT CAST('engagement_rate' AS STRING) AS rule, actor AS account, {none} AS tweet
        FROM {acts_view} {_in_windows()} GROUP BY actor, opens HAVING COUNT(*) >= {limits.rate}
        UNION ALL
        SELECT CAST('follow_churn' AS STRING) AS rule, follower_id AS account, {none} AS tweet
        FROM (
            SELECT follower_id, followee_id, ts FROM `{FOLLOWS.name}`
            WHERE {is_event(FollowChanged)} AND NOT active
        ) {_in_windows()}
        GROUP BY follower_id, opens HAVING COUNT(DISTINCT followee_id) >= {limits.unfollows}
        UNION ALL
        SELECT CAST('identical_text' AS STRING) AS rule, c.author_id AS account, c.tweet_id AS tweet
        FROM {copies_view} AS c JOIN (
            SELECT words, opens FROM {copies_view}
            GROUP BY words, opens HAVING COUNT(DISTINCT tweet_id) >= {limits.copies}
        ) AS f ON c.words = f.words AND c.opens = f.opens
        UNION ALL
        SELECT CAST('fake_engagement' AS STRING) AS rule, e.actor AS account, e.tweet_id AS tweet
        FROM (SELECT tweet_id, opens, actor FROM {young_view} {_in_windows()}) AS e JOIN (
            SELECT tweet_id, opens FROM (
                SELECT tweet_id, ts, 1 AS young FROM {young_view}
                UNION ALL
                SELECT tweet_id, ts, 0 AS young FROM {acts_view}
            ) {_in_windows()} GROUP BY tweet_id, opens
            HAVING SUM(young) >= {limits.engagers}
                AND SUM(young) >= {limits.young_share} * (COUNT(*) - SUM(young))
        ) AS f ON e.tweet_id = f.tweet_id AND e.opens = f.opens"""  # noqa: S608


def _in_windows() -> str:
    """The twin of ``safety_rules.windows_of``."""
    start = f"ts - MOD(ts, {SLIDE_MS})"
    return f"CROSS JOIN UNNEST(ARRAY[{start}, {start} - {SLIDE_MS}]) AS w(opens)"
