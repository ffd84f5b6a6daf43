"""What the store keeps of an event: one definition for the write API and the stream jobs."""

from __future__ import annotations

from ingestion.events import AccountRegistered, MarkChanged, RetweetChanged, TweetCreated
from records.lists import StoredTweet
from timelines import entry
from timelines.bodies import AccountCard, TweetBody, tombstone
from timelines.marks import StoredMark


def body_of(event: TweetCreated) -> TweetBody:
    """What is stored of a tweet."""
    return _body(event, event.ts)


def body_of_record(stored: StoredTweet) -> TweetBody:
    """A row of the records as what is stored of a tweet."""
    if stored.deleted:
        return tombstone(stored.tweet_id, stored.author_id)
    return _body(stored, stored.created_at)


def _body(tweet: TweetCreated | StoredTweet, created_at: int) -> TweetBody:
    return TweetBody(
        tweet_id=tweet.tweet_id,
        author_id=tweet.author_id,
        text=tweet.text,
        created_at=created_at,
        lang=tweet.lang,
        place=tweet.place,
        visibility=tweet.visibility,
        in_reply_to=tweet.in_reply_to,
        quote_of=tweet.quote_of,
        hashtags=tweet.hashtags,
        mentions=tweet.mentions,
        media=tweet.media,
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


def mark_of(event: MarkChanged) -> StoredMark:
    """What is stored of a mark."""
    return StoredMark(event.verdict, event.reason, event.ts, event.by_person)


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
