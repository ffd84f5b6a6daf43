"""The examples that have all their labels: those shown an attribution window or more before the newest event.

What was shown later may still be engaged with: learned from, labels yet to come would count as refusals.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from features.historical import training_frame
from features.label_window import LabelWindow, read_label_window
from features.settings import HasFeatureStore
from features.store import OfflineRowsMissingError, offline_folder


@dataclass(frozen=True)
class LabelledExamples:
    """Rows as ``historical.training_frame`` has them; ``left_out`` are how many may yet get labels."""

    frame: pd.DataFrame
    left_out: int
    window: LabelWindow

    @property
    def sentence(self) -> str:
        """What was left out and why, for a person."""
        window, rows = self.window, self.left_out + len(self.frame)
        return (
            f"{self.left_out:,} of {rows:,} examples are left out, as labels of theirs may yet come: they "
            f"were shown less than {window.attribution / pd.Timedelta(hours=1):g} h, the attribution window, "
            f"before the newest event ({window.newest:%Y-%m-%d %H:%M} UTC)."
        )


def labelled_examples(settings: HasFeatureStore) -> LabelledExamples:
    """What models learn from and are judged on.

    Raises:
        OfflineRowsMissingError: no examples were built yet, or by a build that knew of no window.
        FeatureServiceError: the registered feature service is not this build's.
    """
    return with_all_labels(training_frame(settings), label_window(settings))


def label_window(settings: HasFeatureStore) -> LabelWindow:
    """The window that the built labels are of, whatever the settings say by now.

    Raises:
        OfflineRowsMissingError: no build has written it.
    """
    window = read_label_window(offline_folder(settings))
    if window is None:
        raise OfflineRowsMissingError(
            "It is not known up to when the training examples have labels: run `tideline features build`."
        )
    return window


def with_all_labels(frame: pd.DataFrame, window: LabelWindow) -> LabelledExamples:
    """The rows whose ``event_timestamp`` (UTC) is a whole attribution window or more before the newest event.

    Raises:
        OfflineRowsMissingError: there are rows, but none of them is.
    """
    closed = pd.to_datetime(frame["event_timestamp"], utc=True) <= window.closed
    found = LabelledExamples(frame[closed].reset_index(drop=True), int((~closed).sum()), window)
    if found.left_out and found.frame.empty:
        raise OfflineRowsMissingError(
            f"{found.sentence} Build and train again later, or shorten features.attribution_hours and build."
        )
    return found
