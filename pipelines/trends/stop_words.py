"""Words that carry no topic, by language."""

from __future__ import annotations

from functools import lru_cache

import stopwordsiso


@lru_cache(maxsize=1)
def stop_words() -> dict[str, frozenset[str]]:
    """ISO 639-1 code -> stop words, of the collection stopwords-iso (58 languages)."""
    return {lang: frozenset(stopwordsiso.stopwords(lang)) for lang in sorted(stopwordsiso.langs())}
