"""From the records of the tweets topic to posts: the little of an event that trends need, quickly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ingestion.events import TIME_LIMIT, ClockAdvanced, TweetCreated
from ingestion.lake import type_name
from timelines.entry import AUTHOR_LIMIT, ID_LIMIT

_POSTED = type_name(TweetCreated)
_CLOCK = type_name(ClockAdvanced)


class Post(msgspec.Struct, gc=False):
    """Any event of the topic, read leniently: what else it carries is skipped, not decoded."""

    type: str
    ts: int
    author_id: int = 0
    tweet_id: int = 0
    text: str | None = None
    lang: str | None = None
    place: str | None = None
    visibility: str = "public"
    hashtags: tuple[str, ...] = ()
    v: int = 1


class Posts(NamedTuple):
    """``newest`` is the largest time of any event (ms UTC), ``clock`` that of a ClockAdvanced; 0 for none."""

    public: list[Post]
    newest: int
    clock: int


_decoder = msgspec.json.Decoder(Post)


def read(values: Sequence[bytes | None]) -> Posts:
    """The public tweets among the records; retweets and deletions are none.

    What is no event is skipped: the job ``timelines`` sends it to the dead letters.
    """
    public: list[Post] = []
    newest = clock = 0
    decode = _decoder.decode
    for value in values:
        try:
            post = decode(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if not (0 <= post.ts < TIME_LIMIT and 0 <= post.author_id < AUTHOR_LIMIT):
            continue
        if not 0 <= post.tweet_id < ID_LIMIT:
            continue
        if post.type == _CLOCK:
            clock = max(clock, post.ts)
            continue
        newest = max(newest, post.ts)
        if post.type == _POSTED and post.visibility == "public" and post.v == 1:
            public.append(post)
    return Posts(public, newest, clock)
