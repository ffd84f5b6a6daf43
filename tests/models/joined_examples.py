"""Training examples as a build leaves them: joined with their features, and with all their labels."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from features.examples import TRAINING_EXAMPLES, TRAINING_FRAME
from features.label_window import LabelWindow, write_label_window
from features.labels import ATTRIBUTION_MS


def write_joined(offline: Path, frame: pd.DataFrame) -> None:
    for name in (TRAINING_EXAMPLES, TRAINING_FRAME):
        (offline / name).mkdir(parents=True)
        (offline / name / "_SUCCESS").touch()
    frame.assign(logged=False).to_parquet(offline / TRAINING_FRAME / "part-0.parquet")
    end_ms = int(frame["event_timestamp"].max().timestamp() * 1000)
    write_label_window(offline, LabelWindow(end_ms + ATTRIBUTION_MS, ATTRIBUTION_MS))
