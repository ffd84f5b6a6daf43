"""The events of Tideline: frozen, versioned, one flat JSON object each.

Every event has ``event_id`` (unique; a second event with the same id is a redelivery), ``v`` (schema
version of its type) and ``ts`` (event time, milliseconds UTC). Events of one entity are ordered by
``(ts, event_id)``; the last one wins. Unknown fields, types and versions are refused by :func:`decode`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Verdict = Literal["allow", "limit", "quarantine"]


TIME_LIMIT = 1 << 52
"""Of milliseconds: the store orders changes by doubles of twice the time."""


class Event(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What every event carries."""

    event_id: str
    ts: int
    v: Literal[1] = 1

    @property
    def order(self) -> tuple[int, str]:
        """Position among the events of one entity: the largest wins."""
        return (self.ts, self.event_id)


class AccountRegistered(Event, frozen=True, tag="account_registered", kw_only=True):
    user_id: int
    handle: str
    display_name: str
    place: str | None = None
    created_at: int


class FollowChanged(Event, frozen=True, tag="follow_changed"):
    """The edge follower -> followee was made (``active``) or taken back."""

    follower_id: int
    followee_id: int
    active: bool


class MuteChanged(Event, frozen=True, tag="mute_changed"):
    """``user_id`` wants to see nothing of ``muted_id`` (``active``), or sees it again."""

    user_id: int
    muted_id: int
    active: bool


class BlockChanged(Event, frozen=True, tag="block_changed"):
    """``user_id`` and ``blocked_id`` see nothing of each other (``active``), or may again."""

    user_id: int
    blocked_id: int
    active: bool


class MutedWordsChanged(Event, frozen=True, tag="muted_words_changed"):
    """All the words and hashtags that ``user_id`` keeps out of the feed from now on."""

    user_id: int
    words: tuple[str, ...]


class AuthorHidden(Event, frozen=True, tag="author_hidden"):
    """``user_id`` hid or reported a tweet of ``author_id`` and wants to see less of the author for a time.

    It follows from a :class:`ClientReport`, and is kept longer than that: the newest one of each pair.
    """

    user_id: int
    author_id: int


class TweetCreated(Event, frozen=True, tag="tweet_created"):
    """``text`` is None where a recording does not have it."""

    tweet_id: int
    author_id: int
    text: str | None
    lang: str | None = None
    place: str | None = None
    visibility: Literal["public", "followers"] = "public"
    in_reply_to: int | None = None
    quote_of: int | None = None
    hashtags: tuple[str, ...] = ()
    mentions: tuple[int, ...] = ()
    media: tuple[str, ...] = ()


class TweetDeleted(Event, frozen=True, tag="tweet_deleted"):
    tweet_id: int
    author_id: int


class RetweetChanged(Event, frozen=True, tag="retweet_changed"):
    """``user_id`` retweeted ``tweet_id`` of ``author_id`` (``active``) or took it back.

    ``retweet_id`` is the Snowflake id under which the retweet appears in timelines.
    """

    retweet_id: int
    user_id: int
    tweet_id: int
    author_id: int
    active: bool


class LikeChanged(Event, frozen=True, tag="like_changed"):
    user_id: int
    tweet_id: int
    author_id: int
    active: bool


class Impression(Event, frozen=True, tag="impression"):
    """One item of one served (or recorded) page.

    ``features`` is the model input as served, in the order of ``feature_service``; a missing value is
    None; the whole is None where no model scored the page, the request is none of those whose features are
    logged, or the recording has none. ``policy`` is the version of what chose the order, ``propensity`` the
    chance that the item had to stand at its position; ``arm`` is ``experiment:arm`` of the reader;
    ``latency_ms`` is what the page took.

    At most one item of a page has an ``alternative``: the tweet that would stand in its place had the page
    been explored, or not. Chance decided between the two; ``alternative_propensity`` is the other one's.
    """

    request_id: str
    user_id: int
    tweet_id: int
    author_id: int
    position: int
    source: str
    rung: str
    model: str | None = None
    score: float | None = None
    feature_service: str | None = None
    features: tuple[float | None, ...] | None = None
    policy: str | None = None
    arm: str | None = None
    propensity: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    latency_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None
    alternative: int | None = None
    alternative_author: int | None = None
    alternative_features: tuple[float | None, ...] | None = None
    alternative_propensity: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


LONG_DWELL_MS = 10_000
"""From so long on somebody read an item rather than passed it: a text of 280 signs takes 12 s at 240 words a
minute."""


class ClientReport(Event, frozen=True, tag="client_report"):
    """What the client says was seen and done with one served item; ``ms`` is the dwell time."""

    feed_request_id: str
    user_id: int
    tweet_id: int
    position: int
    action: Literal["shown", "open", "dwell", "hide", "report"]
    ms: int | None = None


Tier = Literal["push", "throttle", "pull"]


class FanOutChanged(Event, frozen=True, tag="fan_out_changed"):
    """From now on authors with fewer than ``push_below`` followers are pushed at once, with ``pull_above`` or
    more pulled at read, those between pushed at ``throttled_per_second`` deliveries for all of them.
    """

    push_below: int
    pull_above: int
    throttled_per_second: int


class AuthorTierChanged(Event, frozen=True, tag="author_tier_changed"):
    """``tier`` overrides what an author's number of followers says; None takes the override back."""

    author_id: int
    tier: Tier | None


class MarkChanged(Event, frozen=True, tag="mark_changed"):
    """A tweet or an account is limited (no candidate for ranking), quarantined (nor counted in trends), or
    allowed again. A person's word outranks every rule's, whenever they were said.
    """

    target: Literal["tweet", "account"]
    target_id: int
    verdict: Verdict
    reason: str
    by_person: bool = False

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Position among the marks of one target: the largest wins."""
        return (self.by_person, *self.order)


class ClockAdvanced(Event, frozen=True, tag="clock_advanced"):
    """Event time has reached ``ts``; written to every partition at the end of a replay."""


AnyEvent = (
    AccountRegistered
    | FollowChanged
    | MuteChanged
    | BlockChanged
    | MutedWordsChanged
    | AuthorHidden
    | TweetCreated
    | TweetDeleted
    | RetweetChanged
    | LikeChanged
    | Impression
    | ClientReport
    | FanOutChanged
    | AuthorTierChanged
    | MarkChanged
    | ClockAdvanced
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


class MalformedEventError(ValueError):
    """The bytes are not an event of a type and version this build knows."""


def encode(event: Event) -> bytes:
    """The event as one JSON object."""
    return _encoder.encode(event)


def decode(value: bytes) -> AnyEvent:
    """The event in ``value``.

    Raises:
        MalformedEventError: not JSON, unknown type or version, missing, extra or ill-typed fields, or a time
            that is none.
    """
    try:
        event = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedEventError(str(error)) from error
    if not 0 <= event.ts < TIME_LIMIT:
        raise MalformedEventError("ts is not a time: milliseconds are 0 to 2^52 - 1")
    return event
