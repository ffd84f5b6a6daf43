"""What an acknowledged write changes in the store at once, so that its author reads it.

The stream jobs repeat all of it from the log; repeating changes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ingestion.events import AuthorHidden, LikeChanged, RetweetChanged, TweetCreated, TweetDeleted
from ingestion.stored import EntryRow, body_of, retweet_row, tweet_row
from records.changes import EdgeChange, WordsChange
from timelines import commands, entry
from timelines.bodies import tombstone
from timelines.keys import Keyspace
from timelines.settings import TimelineSettings


def tweet_created(pipe: Any, keys: Keyspace, settings: TimelineSettings, event: TweetCreated) -> None:
    """The body, the author's outbox and the author's own timeline."""
    commands.put_body(pipe, keys, body_of(event))
    _appear(pipe, keys, settings, tweet_row(event))


def tweet_deleted(pipe: Any, keys: Keyspace, event: TweetDeleted) -> None:
    """The tombstone, which hides the tweet in every feed."""
    commands.put_body(pipe, keys, tombstone(event.tweet_id, event.author_id))


def retweet_changed(pipe: Any, keys: Keyspace, settings: TimelineSettings, event: RetweetChanged) -> None:
    """The reader's set of retweets, outbox and own timeline."""
    commands.set_retweet(pipe, keys, event.user_id, event.tweet_id, event.ts, event.active)
    _appear(pipe, keys, settings, retweet_row(event))


def like_changed(pipe: Any, keys: Keyspace, event: LikeChanged) -> None:
    """The reader's set of likes."""
    commands.set_like(pipe, keys, event.user_id, event.tweet_id, event.ts, event.active)


def relation_changed(pipe: Any, keys: Keyspace, change: EdgeChange | WordsChange) -> None:
    """The sets of followees, muted and blocked accounts, and the muted words."""
    match change:
        case EdgeChange(kind="follow"):
            commands.set_followee(pipe, keys, change.user, change.target, change.ts, change.active)
        case EdgeChange(kind="mute"):
            commands.set_muted(pipe, keys, change.user, change.target, change.ts, change.active)
        case EdgeChange(kind="block"):
            commands.set_blocked(pipe, keys, change.user, change.target, change.ts, change.active)
        case WordsChange():
            commands.put_muted_words(pipe, keys, change.user, change.words, change.ts)


def author_hidden(pipe: Any, keys: Keyspace, event: AuthorHidden) -> None:
    """The reader's set of hidden authors."""
    commands.set_hidden_author(pipe, keys, event.user_id, event.author_id, event.ts)


def _appear(pipe: Any, keys: Keyspace, settings: TimelineSettings, row: EntryRow) -> None:
    entries, author = entry.entry(*row), row[1]
    commands.append_outbox(pipe, keys, settings, entries)
    commands.deliver(pipe, keys, settings, np.array([author]), entries)
