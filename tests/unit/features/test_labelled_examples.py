"""Nothing is learned from what may yet be engaged with."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from features.label_window import LabelWindow, read_label_window, write_label_window
from features.labelled_examples import with_all_labels
from features.settings import FeatureSettings
from features.store import OfflineRowsMissingError

HOUR = 3_600_000
NEWEST = 1_780_000_000_000
DAY = LabelWindow(NEWEST, 24 * HOUR)


def frame(*shown_ms: int) -> pd.DataFrame:
    moments = pd.to_datetime(list(shown_ms), unit="ms", utc=True)
    return pd.DataFrame({"request_id": [f"r{at}" for at in range(len(shown_ms))], "event_timestamp": moments})


def test_an_example_counts_from_the_moment_its_window_has_ended_at_the_newest_event() -> None:
    shown = frame(NEWEST - 48 * HOUR, NEWEST - 24 * HOUR, NEWEST - 24 * HOUR + 1, NEWEST)
    found = with_all_labels(shown, DAY)
    assert found.frame["request_id"].tolist() == ["r0", "r1"]
    assert found.left_out == 2


def test_a_shorter_window_leaves_out_less() -> None:
    shown = frame(NEWEST - 48 * HOUR, NEWEST - 2 * HOUR, NEWEST)
    assert with_all_labels(shown, LabelWindow(NEWEST, HOUR)).left_out == 1


def test_what_is_left_out_is_counted_with_the_window_and_the_newest_event() -> None:
    found = with_all_labels(frame(NEWEST - 48 * HOUR, NEWEST), LabelWindow(NEWEST, HOUR // 2))
    assert "1 of 2 examples are left out" in found.sentence
    assert "less than 0.5 h, the attribution window" in found.sentence
    assert "2026-05-28 20:26 UTC" in found.sentence


def test_where_no_example_has_its_labels_the_sentence_says_what_to_do() -> None:
    with pytest.raises(OfflineRowsMissingError, match=r"2 of 2 examples are left out.*attribution_hours"):
        with_all_labels(frame(NEWEST, NEWEST - HOUR), DAY)


def test_a_lake_without_impressions_is_no_matter_of_labels() -> None:
    assert with_all_labels(frame(), DAY).left_out == 0


def test_the_build_leaves_the_window_beside_its_tables(tmp_path: Path) -> None:
    assert read_label_window(tmp_path) is None
    write_label_window(tmp_path, DAY)
    assert read_label_window(tmp_path) == DAY


def test_the_window_is_a_setting_in_hours() -> None:
    assert FeatureSettings().attribution_ms == 24 * HOUR
    assert FeatureSettings(attribution_hours=0.5).attribution_ms == HOUR // 2
    with pytest.raises(ValueError, match="greater than 0"):
        FeatureSettings(attribution_hours=0)
