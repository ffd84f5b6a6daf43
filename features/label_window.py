"""Up to when the labels of the training examples are known: written by the build, read by whoever learns."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd

from ingestion.whole_files import write_whole

LABEL_WINDOW = ".label-window.json"
"""Lies beside the tables of the offline store."""


class LabelWindow(msgspec.Struct, frozen=True):
    """Labels were made of the events up to ``newest_ms``, the moment of the newest one, each credited to a
    showing less than ``attribution_ms`` before it."""

    newest_ms: int
    attribution_ms: int

    @property
    def newest(self) -> pd.Timestamp:
        return pd.Timestamp(self.newest_ms, unit="ms", tz="UTC")

    @property
    def attribution(self) -> pd.Timedelta:
        return pd.Timedelta(self.attribution_ms, unit="ms")

    @property
    def closed(self) -> pd.Timestamp:
        """What was shown at or before this moment can be credited with nothing any more."""
        return self.newest - self.attribution


def write_label_window(offline: Path, window: LabelWindow) -> None:
    """To the folder of a namespace's tables."""
    write_whole(offline / LABEL_WINDOW, msgspec.json.encode(window))


def read_label_window(offline: Path) -> LabelWindow | None:
    """None where no build has written it."""
    try:
        return msgspec.json.decode((offline / LABEL_WINDOW).read_bytes(), type=LabelWindow)
    except FileNotFoundError:
        return None
