"""What the store keeps of an event: one definition for the write API and the stream jobs."""

from __future__ import annotations

from ingestion.events import AccountRegistered, RetweetChanged, TweetCreated
from records.lists import StoredTweet
from timelines import entry
from timelines.bodies import AccountCard, TweetBody, tombstone


def body_of(event: TweetCreated) -> TweetBody:
    """What is stored of a tweet."""
    return TweetBody(
        tweet_id=event.tweet_id,
        author_id=event.author_id,
        text=event.text,
        created_at=event.ts,
        lang=event.lang,
        place=event.place,
        visibility=event.visibility,
        in_reply_to=event.in_reply_to,
        quote_of=event.quote_of,
        hashtags=event.hashtags,
        mentions=event.mentions,
        media=event.media,
    )


def body_of_record(stored: StoredTweet) -> TweetBody:
    """A row of the records as what is stored of a tweet."""
    if stored.deleted:
        return tombstone(stored.tweet_id, stored.author_id)
    return TweetBody(
        tweet_id=stored.tweet_id,
        author_id=stored.author_id,
        text=stored.text,
        created_at=stored.created_at,
        lang=stored.lang,
        place=stored.place,
        visibility=stored.visibility,
        in_reply_to=stored.in_reply_to,
        quote_of=stored.quote_of,
        hashtags=stored.hashtags,
        mentions=stored.mentions,
        media=stored.media,
    )


def card_of(event: AccountRegistered) -> AccountCard:
    """What is stored of an account."""
    return AccountCard(
        user_id=event.user_id,
        handle=event.handle,
        display_name=event.display_name,
        created_at=event.created_at,
        place=event.place,
    )


EntryRow = tuple[int, int, int, int, int]
"""Appearance id, author, original tweet, author of the original, flags: the arguments of ``entry.entry``."""


def tweet_row(event: TweetCreated) -> EntryRow:
    """The tweet as an entry of timelines."""
    flags = entry.REPLY if event.in_reply_to is not None else 0
    if event.visibility == "followers":
        flags |= entry.FOLLOWERS_ONLY
    return (event.tweet_id, event.author_id, event.tweet_id, event.author_id, flags)


def retweet_row(event: RetweetChanged) -> EntryRow:
    """The retweet, made or taken back, as an entry of timelines."""
    flags = entry.RETWEET if event.active else entry.RETWEET | entry.WITHDRAWN
    return (event.retweet_id, event.user_id, event.tweet_id, event.author_id, flags)
