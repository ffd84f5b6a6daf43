"""What is shown with an entry: tweet bodies, author cards, counts; their stored forms.

Bodies are JSON. Cards, counts and trend lists are versioned: 8 big-endian bytes of version, then JSON or
big-endian int64 values; a lower version never overwrites a higher one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray


class TweetBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """``created_at`` in milliseconds UTC; ``text`` is None where a recording lacks it or it is deleted."""

    tweet_id: int
    author_id: int
    text: str | None
    created_at: int
    lang: str | None = None
    place: str | None = None
    visibility: str = "public"
    in_reply_to: int | None = None
    quote_of: int | None = None
    hashtags: tuple[str, ...] = ()
    mentions: tuple[int, ...] = ()
    media: tuple[str, ...] = ()
    deleted: bool = False


class AccountCard(msgspec.Struct, frozen=True, omit_defaults=True):
    """``created_at`` in milliseconds UTC."""

    user_id: int
    handle: str
    display_name: str
    created_at: int
    place: str | None = None


class TweetCounts(msgspec.Struct, frozen=True, array_like=True):
    likes: int = 0
    retweets: int = 0
    replies: int = 0
    quotes: int = 0


class AccountCounts(msgspec.Struct, frozen=True, array_like=True):
    followers: int = 0
    following: int = 0
    tweets: int = 0


class Trend(msgspec.Struct, frozen=True):
    """``since`` in milliseconds UTC: when the term entered the list."""

    term: str
    rank: int
    count: int
    authors: int
    score: float
    since: int


class TrendList(msgspec.Struct, frozen=True):
    """``as_of`` in milliseconds UTC: the end of the window."""

    as_of: int
    items: tuple[Trend, ...]


_encoder = msgspec.json.Encoder()
_bodies = msgspec.json.Decoder(TweetBody)
_cards = msgspec.json.Decoder(AccountCard)
_words = msgspec.json.Decoder(tuple[str, ...])
_trends = msgspec.json.Decoder(TrendList)
_TWEET_COUNTS = struct.Struct(">Qqqqq")
_ACCOUNT_COUNTS = struct.Struct(">Qqqq")


def tombstone(tweet_id: int, author_id: int) -> TweetBody:
    """What stays of a deleted tweet."""
    return TweetBody(tweet_id=tweet_id, author_id=author_id, text=None, created_at=0, deleted=True)


def encode_body(body: TweetBody) -> bytes:
    return _encoder.encode(body)


def decode_body(stored: bytes | None) -> TweetBody | None:
    """None where nothing is stored."""
    return None if stored is None else _bodies.decode(stored)


def _versioned(version: int, payload: bytes) -> bytes:
    return version.to_bytes(8, "big") + payload


def encode_card(card: AccountCard, version: int) -> bytes:
    return _versioned(version, _encoder.encode(card))


def decode_card(stored: bytes | None) -> AccountCard | None:
    """None where nothing is stored."""
    return None if stored is None else _cards.decode(memoryview(stored)[8:])


def encode_words(words: Sequence[str], version: int) -> bytes:
    return _versioned(version, _encoder.encode(list(words)))


def decode_words(stored: bytes | None) -> tuple[str, ...]:
    """Nothing where nothing is stored."""
    return () if stored is None else _words.decode(memoryview(stored)[8:])


def encode_trends(trends: TrendList) -> bytes:
    """Versioned by ``as_of``."""
    return _versioned(trends.as_of, _encoder.encode(trends))


def decode_trends(stored: bytes | None) -> TrendList | None:
    """None where nothing is stored."""
    return None if stored is None else _trends.decode(memoryview(stored)[8:])


def encode_tweet_counts(counts: TweetCounts, version: int) -> bytes:
    return _TWEET_COUNTS.pack(version, counts.likes, counts.retweets, counts.replies, counts.quotes)


def pack_tweet_counts(versions: NDArray[np.int64], counts: NDArray[np.int64]) -> list[bytes]:
    """Many at once: versions [n], and counts [n, 4] in the order of :class:`TweetCounts`."""
    return _packed(versions, counts, _TWEET_COUNTS)


def decode_tweet_counts(stored: bytes | None) -> TweetCounts:
    """Zeros where nothing is stored."""
    return TweetCounts() if stored is None else TweetCounts(*_TWEET_COUNTS.unpack(stored)[1:])


def encode_account_counts(counts: AccountCounts, version: int) -> bytes:
    return _ACCOUNT_COUNTS.pack(version, counts.followers, counts.following, counts.tweets)


def pack_account_counts(versions: NDArray[np.int64], counts: NDArray[np.int64]) -> list[bytes]:
    """Many at once: versions [n], and counts [n, 3] in the order of :class:`AccountCounts`."""
    return _packed(versions, counts, _ACCOUNT_COUNTS)


def decode_account_counts(stored: bytes | None) -> AccountCounts:
    """Zeros where nothing is stored."""
    return AccountCounts() if stored is None else AccountCounts(*_ACCOUNT_COUNTS.unpack(stored)[1:])


def _packed(versions: NDArray[np.int64], counts: NDArray[np.int64], form: struct.Struct) -> list[bytes]:
    values = np.concatenate([versions[:, None], counts], axis=1).astype(">i8").tobytes()
    return [values[start : start + form.size] for start in range(0, len(values), form.size)]
