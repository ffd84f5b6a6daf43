"""Moments as a person writes them."""

from __future__ import annotations

import pytest

from stack.errors import UserError
from stack.moments import as_text, moment_ms

NOON = 1_795_262_400_000  # 2026-11-21T12:00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T14:00", "2026-11-21T14:00:00Z"),
        ("2026-11-21T14:00+02:00", "2026-11-21T12:00:00Z"),
        ("2026-11-20", "2026-11-20T00:00:00Z"),
        ("9:30", "2026-11-21T09:30:00Z"),
        ("14:00:05", "2026-11-21T14:00:05Z"),
        ("90m", "2026-11-21T10:30:00Z"),
        ("7d", "2026-11-14T12:00:00Z"),
    ],
)
def test_a_moment_is_a_date_a_time_of_today_or_so_long_ago(text: str, expected: str) -> None:
    assert as_text(moment_ms(text, NOON)) == expected


@pytest.mark.parametrize("text", ["yesterday", "25:00", "5w", ""])
def test_what_is_no_moment_is_said_in_a_sentence(text: str) -> None:
    with pytest.raises(UserError, match="is no moment: write it as"):
        moment_ms(text, NOON)
