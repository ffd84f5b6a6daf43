"""Staying up until somebody has seen enough."""

from __future__ import annotations

import signal


def until_interrupted() -> None:
    """Returns when the process gets Ctrl-C or is asked to end."""
    try:
        signal.pause()
    except KeyboardInterrupt:
        return
