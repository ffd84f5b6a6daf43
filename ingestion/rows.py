"""Events as rows of the records' tables: the arguments of ``records.materialize``."""

from __future__ import annotations

from collections.abc import Iterable

from ingestion.events import (
    AccountRegistered,
    AnyEvent,
    FollowChanged,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.snowflake import time_of
from records.materialize import Row

LARGEST = (1 << 63) - 1


def rows_of(events: Iterable[AnyEvent]) -> dict[str, list[Row]]:
    """The rows of each table; events that no table keeps are passed over."""
    rows: dict[str, list[Row]] = {}
    for event in events:
        version = (event.ts, event.event_id)
        match event:
            case AccountRegistered():
                shown = (_text(event.handle), _text(event.display_name), _text(event.place))
                rows.setdefault("accounts", []).append((event.user_id, *shown, event.created_at, *version))
            case FollowChanged():
                edge = (event.follower_id, event.followee_id, event.active)
                rows.setdefault("follows", []).append((*edge, *version))
            case TweetCreated() | TweetDeleted():
                rows.setdefault("tweets", []).append((*_tweet(event), *version))
            case RetweetChanged():
                retweet = (event.retweet_id, event.user_id, event.tweet_id, event.author_id, event.active)
                rows.setdefault("retweets", []).append((*retweet, *version))
            case LikeChanged():
                like = (event.user_id, event.tweet_id, event.author_id, event.active)
                rows.setdefault("likes", []).append((*like, *version))
    return rows


def unfit_for_rows(event: AnyEvent) -> str | None:
    """Why a well-formed event fits no table, or None."""
    numbers = [event.ts]
    match event:
        case AccountRegistered():
            numbers += [event.created_at]
        case TweetCreated():
            numbers += [event.in_reply_to or 0, event.quote_of or 0, *event.mentions]
    if not all(-LARGEST <= number <= LARGEST for number in numbers):
        return "ids and times are 64-bit integers"
    return "event_id holds U+0000" if "\0" in event.event_id else None


def _tweet(event: TweetCreated | TweetDeleted) -> Row:
    if isinstance(event, TweetDeleted):
        place = (event.tweet_id, event.author_id, None, time_of(event.tweet_id))
        return (*place, None, None, "public", None, None, [], [], [], True)
    return (
        event.tweet_id,
        event.author_id,
        _text(event.text),
        event.ts,
        _text(event.lang),
        _text(event.place),
        event.visibility,
        event.in_reply_to,
        event.quote_of,
        [_text(tag) for tag in event.hashtags],
        list(event.mentions),
        [_text(url) for url in event.media],
        False,
    )


def _text(value: str | None) -> str | None:
    """PostgreSQL keeps every character but U+0000."""
    return None if value is None else value.replace("\0", "\ufffd")
