"""What a tweet is about: hashes of its first hashtags."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from zlib import crc32

TOPICS = 2
"""How many hashtags of a tweet count as its topics."""
NO_TOPIC = -1


def topics_of_hashtags(hashtags: Sequence[str]) -> tuple[int, ...]:
    """The topics of one tweet, ``TOPICS`` of them, padded with ``NO_TOPIC``."""
    found = tuple(_topic(tag) for tag in hashtags[:TOPICS])
    return found + (NO_TOPIC,) * (TOPICS - len(found))


@lru_cache(maxsize=1 << 14)
def _topic(hashtag: str) -> int:
    # In lower case and not by ``casefold``, which Spark does not have: see ``pipelines.batch.topics``.
    return crc32(hashtag.lower().encode())
