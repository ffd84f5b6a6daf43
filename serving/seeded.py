"""Seeded chance: numbers that look drawn, yet are always the same for the same salt and key."""

from __future__ import annotations

import hashlib
import struct


def chances(salt: str, key: str, count: int) -> tuple[float, ...]:
    """Up to eight independent numbers, uniform in 0 <= x < 1."""
    # The salt's length keeps salt "a" with key "bc" apart from salt "ab" with key "c".
    text = f"{len(salt)}:{salt}{key}".encode()
    words = struct.unpack(f"<{count}Q", hashlib.blake2b(text, digest_size=8 * count).digest())
    # 53 bits are what a float holds exactly: none is rounded up to 1.
    return tuple((word >> 11) * 2.0**-53 for word in words)
