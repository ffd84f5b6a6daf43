"""Whether a text has one of the words, phrases or hashtags that a reader keeps out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

# Scripts that write no spaces between words: there a muted word may stand anywhere in a text.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def mutes(words: Sequence[str], text: str | None) -> bool:
    """Whether ``text`` has one of ``words``, in upper or lower case.

    A word matches whole words, and the hashtag of the same letters; a word that begins with # matches the
    hashtag alone; a phrase matches its words in a row.
    """
    if not words or not text:
        return False
    return _pattern(tuple(words)).search(_folded(text)) is not None


def _folded(text: str) -> str:
    return text.replace("＃", "#").casefold()


@lru_cache(maxsize=1024)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_alternative(_folded(word)) for word in words))


def _alternative(word: str) -> str:
    before = "" if _UNSPACED.match(word[0]) else r"(?<!\w)"
    after = "" if _UNSPACED.match(word[-1]) else r"(?!\w)"
    return before + r"\s+".join(map(re.escape, word.split())) + after
