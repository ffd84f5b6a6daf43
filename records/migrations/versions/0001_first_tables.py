"""Accounts, relations, outbox, and the tables materialized from the log."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Event ids are compared by code point, whatever the database's own collation.
VERSION = 'ts bigint NOT NULL, event_id text COLLATE "C" NOT NULL'
EDGES = {
    "follows": ("follower_id", "followee_id"),
    "mutes": ("user_id", "muted_id"),
    "blocks": ("user_id", "blocked_id"),
}


def upgrade() -> None:
    op.execute(f"""
        CREATE TABLE accounts (
            user_id bigint PRIMARY KEY, handle text NOT NULL, display_name text NOT NULL, place text,
            created_at bigint NOT NULL, {VERSION})""")
    op.execute("CREATE TABLE handles (handle text PRIMARY KEY, user_id bigint NOT NULL UNIQUE)")
    for table, (subject, target) in EDGES.items():
        op.execute(f"""
            CREATE TABLE {table} (
                {subject} bigint, {target} bigint, active boolean NOT NULL, {VERSION},
                PRIMARY KEY ({subject}, {target}))""")
        for first, second in ((subject, target), (target, subject)):
            op.execute(
                f"CREATE INDEX {table}_by_{first} ON {table} ({first}, ts DESC, {second} DESC) WHERE active"
            )
    op.execute(f"CREATE TABLE muted_words (user_id bigint PRIMARY KEY, words text[] NOT NULL, {VERSION})")
    # Rows come and go all the time: its dead ones are cleared by their number, not by their share.
    op.execute("""
        CREATE TABLE outbox (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id uuid NOT NULL,
            aggregatetype text NOT NULL, aggregateid text NOT NULL, type text NOT NULL,
            payload jsonb NOT NULL, timestamp bigint NOT NULL)
        WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)""")
    op.execute(f"""
        CREATE TABLE tweets (
            tweet_id bigint PRIMARY KEY, author_id bigint NOT NULL, text text, created_at bigint NOT NULL,
            lang text, place text, visibility text NOT NULL, in_reply_to bigint, quote_of bigint,
            hashtags text[] NOT NULL, mentions bigint[] NOT NULL, media text[] NOT NULL,
            deleted boolean NOT NULL, {VERSION})
        PARTITION BY RANGE (tweet_id)""")
    op.execute("""
        CREATE INDEX tweets_by_author ON tweets (author_id, tweet_id DESC)
        INCLUDE (visibility, in_reply_to, deleted)""")
    op.execute("CREATE INDEX tweets_by_reply ON tweets (in_reply_to, tweet_id) WHERE in_reply_to IS NOT NULL")
    op.execute(f"""
        CREATE TABLE retweets (
            retweet_id bigint PRIMARY KEY, user_id bigint NOT NULL, tweet_id bigint NOT NULL,
            author_id bigint NOT NULL, active boolean NOT NULL, {VERSION})
        PARTITION BY RANGE (retweet_id)""")
    op.execute("""
        CREATE INDEX retweets_by_user ON retweets (user_id, retweet_id DESC)
        INCLUDE (tweet_id, author_id, active)""")
    op.execute("CREATE INDEX retweets_by_tweet ON retweets (tweet_id, user_id, retweet_id DESC) WHERE active")
    op.execute(f"""
        CREATE TABLE likes (
            user_id bigint, tweet_id bigint, author_id bigint NOT NULL, active boolean NOT NULL, {VERSION},
            PRIMARY KEY (user_id, tweet_id))""")
    op.execute("CREATE INDEX likes_by_tweet ON likes (tweet_id, user_id) WHERE active")


def downgrade() -> None:
    for table in ("likes", "retweets", "tweets", "outbox", "muted_words", *EDGES, "handles", "accounts"):
        op.execute(f"DROP TABLE {table}")
