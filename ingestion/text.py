"""What stands in a tweet's text."""

from __future__ import annotations

import re

TEXT_LIMIT = 280
"""Code points."""

_HASHTAG = re.compile(r"(?<![\w&/])[#＃](\w*[^\W\d_]\w*)")


def hashtags(text: str) -> tuple[str, ...]:
    """The hashtags in the order they first appear, without the sign; one of digits alone is none."""
    found: dict[str, str] = {}
    for match in _HASHTAG.finditer(text):
        found.setdefault(match[1].casefold(), match[1])
    return tuple(found.values())
