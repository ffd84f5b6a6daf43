"""Changes of the records as events, and events as messages of the outbox."""

from __future__ import annotations

from ingestion.events import (
    AccountRegistered,
    BlockChanged,
    Event,
    FollowChanged,
    MuteChanged,
    MutedWordsChanged,
    encode,
)
from ingestion.topics import route
from records.changes import AccountChange, Change, EdgeChange, WordsChange
from records.outbox import Message


def event_of(change: Change) -> Event:
    """What the log is told of a change."""
    match change:
        case EdgeChange(kind="follow"):
            return FollowChanged(
                event_id=change.event_id,
                ts=change.ts,
                follower_id=change.user,
                followee_id=change.target,
                active=change.active,
            )
        case EdgeChange(kind="mute"):
            return MuteChanged(
                event_id=change.event_id,
                ts=change.ts,
                user_id=change.user,
                muted_id=change.target,
                active=change.active,
            )
        case EdgeChange(kind="block"):
            return BlockChanged(
                event_id=change.event_id,
                ts=change.ts,
                user_id=change.user,
                blocked_id=change.target,
                active=change.active,
            )
        case WordsChange():
            return MutedWordsChanged(
                event_id=change.event_id, ts=change.ts, user_id=change.user, words=change.words
            )
        case AccountChange():
            return AccountRegistered(
                event_id=change.event_id,
                ts=change.ts,
                user_id=change.user_id,
                handle=change.handle,
                display_name=change.display_name,
                place=change.place,
                created_at=change.created_at,
            )
    raise ValueError(f"{change!r} is no change of the records.")


def message_of(change: Change) -> Message:
    """The outbox row of a change: ``aggregatetype`` is its topic, ``aggregateid`` its record key."""
    event = event_of(change)
    topic, key = route(event)
    return Message(
        id=change.event_id,
        aggregatetype=topic.name,
        aggregateid=key.decode(),
        type=str(type(event).__struct_config__.tag),
        payload=encode(event),
        timestamp=change.ts,
    )
