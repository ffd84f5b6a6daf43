"""The folders of the training examples and of their frame, and from when on the frame is to be joined again.

Examples are built, and then joined with their features. What is noted between the two outlives a process that
dies there: the next join begins where the frame is old, whatever the next build covers.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ingestion.whole_files import write_whole

TRAINING_EXAMPLES = "training_examples"
TRAINING_FRAME = "training_frame"
UNJOINED = ".unjoined.json"


class _Unjoined(msgspec.Struct, frozen=True):
    since_ms: int


def outdate(offline: Path, since_ms: int) -> None:
    """The frame is old from ``since_ms`` on, or from earlier if it was: examples are about to be replaced."""
    before = unjoined_since(offline)
    write_whole(
        offline / UNJOINED,
        msgspec.json.encode(_Unjoined(since_ms if before is None else min(before, since_ms))),
    )


def unjoined_since(offline: Path) -> int | None:
    """From when on (ms UTC) the frame is old; None where it is not, 0 where that cannot be read."""
    try:
        return msgspec.json.decode((offline / UNJOINED).read_bytes(), type=_Unjoined).since_ms
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        return 0


def joined(offline: Path) -> None:
    """The frame holds the examples as they are now."""
    (offline / UNJOINED).unlink(missing_ok=True)
