"""Moments as a person writes them: ``2026-11-21T14:00``, ``14:00`` of today, ``2h`` ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time

from stack.errors import UserError

UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
"""How an option that is a moment may be written; it is UTC."""
EXAMPLES = "2026-11-21T14:00, 14:00, 2h or 7d"


def moment_ms(text: str, now_ms: int) -> int:
    """Milliseconds UTC of an ISO date or time of day (UTC unless it says otherwise), or of so long ago.

    Raises:
        UserError: it is none of these.
    """
    if ago := re.fullmatch(r"(\d+)([smhd])", text):
        return now_ms - int(ago[1]) * UNITS_MS[ago[2]]
    try:
        if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", text):
            today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
            moment = datetime.combine(today, time.fromisoformat(text.zfill(5)))
        else:
            moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"{text} is no moment: write it as {EXAMPLES}.") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def utc_ms(moment: datetime) -> int:
    """Milliseconds of a moment; without a time zone it is UTC."""
    return int(_aware(moment).timestamp() * 1000)


def utc_or_now(moment: datetime | None) -> datetime:
    """The moment, UTC if it has no time zone; now where there is none."""
    return datetime.now(UTC) if moment is None else _aware(moment)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def as_text(ms: int) -> str:
    """ISO, UTC, to the second."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
