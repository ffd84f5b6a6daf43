"""What a code point is to the reader of words: a letter and of which script, or what parts words."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import numpy as np
import numpy.typing as npt

PARTING, SPACE, JOINING, END, LETTER, DIGIT, HAN, KATAKANA = range(8)
"""From LETTER on, code points belong to words; JOINING signs part two words of one pair.

A word ends where HAN or KATAKANA begins or ends, since Japanese and Chinese have no spaces.
Hiragana is mostly particles and endings: it parts words, as signs do."""
TWEET_END = "\0"
_JOINING_SIGNS = "-'’_‐‑"
_ASSIGNED = 0x32000
_HAN = ((0x3005, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x31FFF))
_KATAKANA = ((0x30A1, 0x30FA), (0x30FC, 0x30FF), (0x31F0, 0x31FF))
_HIRAGANA = ((0x3041, 0x309F),)
_INSIDE_WORDS = (0x200C, 0x200D)
_SELECTORS = ((0xFE00, 0xFE0F),)


@lru_cache(maxsize=1)
def classes() -> npt.NDArray[np.uint8]:
    """[0x110000] the class of each code point, by Unicode's general category (a tenth of a second, once)."""
    table = np.full(0x110000, PARTING, np.uint8)
    for point in range(_ASSIGNED):
        category = unicodedata.category(chr(point))
        if category == "Nd":
            table[point] = DIGIT
        elif category[0] in "LMN":
            table[point] = LETTER
        elif chr(point).isspace():
            table[point] = SPACE
    for script, ranges in ((HAN, _HAN), (KATAKANA, _KATAKANA), (PARTING, _HIRAGANA + _SELECTORS)):
        for first, last in ranges:
            table[first : last + 1] = script
    table[list(_INSIDE_WORDS)] = LETTER
    table[[ord(sign) for sign in _JOINING_SIGNS]] = JOINING
    table[ord(TWEET_END)] = END
    table.flags.writeable = False
    return table
