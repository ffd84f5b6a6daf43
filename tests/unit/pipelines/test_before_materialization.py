"""What is about to be written to the online store is refused where it is not what it should be."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.names import USER_ACTIVITY, VIEWS, View
from features.settings import FeatureSettings, FeatureStoreSettings
from features.store import OfflineRowsMissingError, offline_folder
from pipelines.batch.before_materialization import check_rows, remember_training, trained_until
from pipelines.batch.validation import DataQualityError
from training.drift import feature_ages

# Great Expectations imports for long on a busy machine.
pytestmark = pytest.mark.timeout(300)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TRAINED = NOW - timedelta(hours=9)
ENTITIES = 400
Change = Callable[[pd.DataFrame], None]


def rows(view: View) -> pd.DataFrame:
    """Of every entity a row before the last training and one after it, alike but for chance."""
    rng = np.random.default_rng(5)
    ids = np.repeat(np.arange(ENTITIES), 2)
    frame = pd.DataFrame({name: ids + place for place, name in enumerate(view.entities)})
    for name in view.columns:
        bounded = name.endswith(("_rate", "_is_reply"))
        values = rng.random(len(frame)) if bounded else rng.gamma(2.0, 10.0, len(frame))
        frame[name] = values.astype(np.float32)
    moments = np.tile([NOW - timedelta(hours=10), NOW - timedelta(hours=1)], ENTITIES)
    stamps = pd.Series(pd.to_datetime(moments, utc=True)).astype("datetime64[us, UTC]")
    return frame.assign(event_timestamp=stamps, created=stamps)


@pytest.fixture
def settings(tmp_path: Path) -> FeatureStoreSettings:
    sections = FeatureSettings(offline=tmp_path / "offline", quality=tmp_path / "quality")
    found = FeatureStoreSettings(namespace="checked", features=sections)
    for view in VIEWS:
        write(found, view, lambda frame: None)
    remember_training(results(found), TRAINED)
    return found


def results(settings: FeatureStoreSettings) -> Path:
    return settings.features.quality / settings.namespace


def write(settings: FeatureStoreSettings, view: View, change: Change) -> None:
    frame = rows(view)
    change(frame)
    folder = offline_folder(settings) / view.name
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "part-0.parquet")


def newest(frame: pd.DataFrame) -> pd.Series:
    return frame["event_timestamp"] > pd.Timestamp(TRAINED)


def test_sound_rows_pass_and_leave_a_site_of_what_was_expected(settings: FeatureStoreSettings) -> None:
    reports = check_rows(settings, NOW)
    assert [report.table for report in reports] == [
        f"{view.name}_online" for view in VIEWS if view.engine == "spark"
    ]
    assert all(report.rows == ENTITIES and report.failures == () for report in reports)
    site = results(settings) / "data_docs"
    index = (site / "index.html").read_text()
    assert all(report.table in index for report in reports)
    pages = [page.read_text() for page in (site / "validations").rglob("*.html")]
    assert any("stability index of user_engagement_rate" in page for page in pages)
    assert not any(re.search(r"<img[^>]*https?://", page) for page in [index, *pages])


def infinite(frame: pd.DataFrame) -> None:
    frame.loc[newest(frame).idxmax(), "user_tweets"] = np.inf


def negative(frame: pd.DataFrame) -> None:
    frame.loc[newest(frame), "user_impressions"] = -1


def missing(frame: pd.DataFrame) -> None:
    frame.loc[newest(frame) & (frame.user < 100), "user_followees"] = np.nan


def empty(frame: pd.DataFrame) -> None:
    frame.loc[newest(frame) & (frame.user == 7), list(USER_ACTIVITY.columns)] = np.nan


def old(frame: pd.DataFrame) -> None:
    frame["event_timestamp"] -= timedelta(hours=50)


def past_ttl(frame: pd.DataFrame) -> None:
    frame["event_timestamp"] -= timedelta(days=USER_ACTIVITY.ttl_days + 1)


def moved(frame: pd.DataFrame) -> None:
    frame.loc[newest(frame), "user_engagement_rate"] **= 4


def constant(frame: pd.DataFrame) -> None:
    frame.loc[newest(frame), "user_engagement_rate"] = 0.5


def grown(frame: pd.DataFrame) -> None:
    frame.loc[newest(frame), "user_tweets"] *= 5


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (infinite, "to_be_between on user_tweets in 1 rows"),
        (negative, f"to_be_between on user_impressions in {ENTITIES} rows"),
        (missing, r"non_null_values_to_be_between on user_followees \(0.75\)"),
        (empty, "to_be_between on values in the row in 1 rows"),
        (old, "max_to_be_between on event_timestamp"),
        (past_ttl, "max_to_be_between on event_timestamp"),
        (moved, r"max_to_be_between on stability index of user_engagement_rate \("),
        (constant, r"max_to_be_between on stability index of user_engagement_rate \("),
    ],
)
def test_rows_that_are_not_as_expected_are_refused_by_column(
    change: Change, sentence: str, settings: FeatureStoreSettings
) -> None:
    write(settings, USER_ACTIVITY, change)
    with pytest.raises(DataQualityError, match=rf"^The table user_activity_online fails .*{sentence}"):
        check_rows(settings, NOW)
    assert "user_activity_online" in (results(settings) / "data_docs" / "index.html").read_text()


def by_the_day(settings: FeatureStoreSettings, view: View, frame: pd.DataFrame) -> Path:
    """As a build leaves rows; the folder of the view."""
    folder = offline_folder(settings) / view.name
    (folder / "part-0.parquet").unlink(missing_ok=True)
    for day, rows in frame.groupby((frame["event_timestamp"] - timedelta(milliseconds=1)).dt.date):
        (folder / f"day={day}").mkdir(parents=True, exist_ok=True)
        rows.to_parquet(folder / f"day={day}" / "part-0.parquet")
    return folder


def test_entities_that_rest_do_not_hide_those_that_are_about_to_be_written(
    settings: FeatureStoreSettings,
) -> None:
    """Of whom nothing was heard for longer than the ttl, there are more every day."""
    frame = rows(USER_ACTIVITY)
    negative(frame)
    resting = [
        frame.assign(
            user=frame["user"] + ENTITIES * turn,
            event_timestamp=frame["event_timestamp"] - timedelta(days=USER_ACTIVITY.ttl_days + turn),
        )
        for turn in range(1, 11)
    ]
    by_the_day(settings, USER_ACTIVITY, pd.concat([frame, *resting]))
    limits = settings.features.materialization.model_copy(update={"rows": 20, "least_rows": 10})
    features = settings.features.model_copy(update={"materialization": limits})
    with pytest.raises(DataQualityError, match="on user_impressions in 20 rows"):
        check_rows(settings.model_copy(update={"features": features}), NOW)


def test_only_the_newest_days_are_opened(settings: FeatureStoreSettings) -> None:
    """However many days there are: the check of an hour does not cost more every day."""
    for view in VIEWS:
        frame = rows(view)
        days = [frame.assign(event_timestamp=frame["event_timestamp"] - timedelta(days=n)) for n in range(4)]
        folder = by_the_day(settings, view, pd.concat(days))
        for path in sorted(folder.glob("day=*"))[:-2]:
            (path / "part-0.parquet").write_bytes(b"this file must not be opened")
    limits = settings.features.materialization.model_copy(update={"rows": ENTITIES})
    features = settings.features.model_copy(update={"materialization": limits})
    reports = check_rows(settings.model_copy(update={"features": features}), NOW)
    assert all(report.rows == ENTITIES and report.failures == () for report in reports)
    ages = feature_ages(settings, NOW)
    assert {*ages.values()} == {1.0}


def test_counts_may_grow(settings: FeatureStoreSettings) -> None:
    write(settings, USER_ACTIVITY, grown)
    assert all(report.failures == () for report in check_rows(settings, NOW))


def test_before_any_training_nothing_is_said_of_drift(settings: FeatureStoreSettings) -> None:
    (results(settings) / "trained.json").unlink()
    write(settings, USER_ACTIVITY, moved)
    assert all(report.failures == () for report in check_rows(settings, NOW))


def test_a_view_that_has_no_rows_has_nothing_to_be_refused(settings: FeatureStoreSettings) -> None:
    write(settings, USER_ACTIVITY, lambda frame: frame.drop(frame.index, inplace=True))
    report = check_rows(settings, NOW)[0]
    assert (report.rows, report.failures) == (0, ())


def test_a_note_of_the_training_is_whole_or_the_one_before(
    settings: FeatureStoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda *arguments: (_ for _ in ()).throw(OSError("the machine stopped")))
        with pytest.raises(OSError, match="stopped"):
            remember_training(results(settings), NOW)
    assert trained_until(results(settings)) == TRAINED


def test_a_view_that_was_never_built_is_named(settings: FeatureStoreSettings) -> None:
    (offline_folder(settings) / "user_activity" / "part-0.parquet").unlink()
    with pytest.raises(OfflineRowsMissingError, match="no offline rows of user_activity: run"):
        check_rows(settings, NOW)
