"""Features as served, logged with their page: what the model learns from, and beside the offline ones."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
import redis.asyncio

from features.context import context_features
from features.labels import LABELS
from features.names import CONTEXT_FEATURES, FEATURE_SERVICE, MODEL_INPUT, VIEWS, View
from features.parity import ParityReport
from features.settings import FeatureSettings, FeatureStoreSettings, ParitySettings
from features.store import FeatureServiceError
from timelines.keys import Keyspace
from timelines.settings import RedisSettings

pytestmark = [pytest.mark.spark, pytest.mark.valkey]

START = datetime(2026, 11, 20, tzinfo=UTC)
MATERIALIZED = START + timedelta(hours=24)
LIMITS = ParitySettings(least_values=20)
IDS = {"user": range(1, 5), "author": range(11, 15), "tweet": range(21, 25)}
SCALED = MODEL_INPUT.index("author_followers")
Change = Callable[["Page"], None]


class Page:
    """One list of four candidates, with its features as served at ``at``."""

    def __init__(self, number: int, at: datetime) -> None:
        self.number, self.at = number, at
        turn = np.arange(4)
        self.ids = {
            "user": np.full(4, 1 + number % 4, dtype=np.int64),
            "author": 11 + (turn + number) % 4,
            "tweet": 21 + (turn + number // 4) % 4,
        }
        self.matrix = np.empty((4, len(MODEL_INPUT)), dtype=np.float32)
        self.service = FEATURE_SERVICE

    def rows(self) -> list[dict[str, Any]]:
        context = context_features(*self.context())
        return [
            {
                "request_id": f"r{self.number}",
                **{name: int(ids[place]) for name, ids in self.ids.items()},
                "event_timestamp": self.at,
                "position": place,
                **dict(zip((f.name for f in CONTEXT_FEATURES), context[place].tolist(), strict=True)),
                **dict.fromkeys(LABELS.values(), 0.0),
                "feature_service": self.service,
                "logged_features": [None if np.isnan(v) else float(v) for v in self.matrix[place]],
            }
            for place in range(4)
        ]

    def context(self) -> tuple[Any, Any, int]:
        born = np.full(4, int(START.timestamp() * 1000), dtype=np.int64)
        return born, np.zeros(4, dtype=np.bool_), int(self.at.timestamp() * 1000)


class Service:
    """Offline rows that change every hour, materialized once, and pages served from the online rows."""

    def __init__(self, settings: FeatureStoreSettings) -> None:
        from features.store import apply_repo, materialize, offline_folder, open_store

        self.settings = settings
        self.folder = offline_folder(settings)
        self.rows = {view.name: _hourly(view, seed) for seed, view in enumerate(VIEWS)}
        for name, frame in self.rows.items():
            (self.folder / name).mkdir(parents=True)
            frame.to_parquet(self.folder / name / "part-0.parquet")
        store = open_store(settings, int(MATERIALIZED.timestamp() * 1000))
        apply_repo(store, settings)
        materialize(store, settings, MATERIALIZED, lambda view: None)
        moments = [MATERIALIZED + timedelta(minutes=1 + 20 * number) for number in range(18)]
        self.pages = [self._served(Page(number, at)) for number, at in enumerate(moments)]

    def parity(self, change: Change = lambda page: None, limits: ParitySettings = LIMITS) -> ParityReport:
        from features.served_features import parity

        self.write(change)
        features = self.settings.features.model_copy(update={"parity": limits})
        report = parity(self.settings.model_copy(update={"features": features}))
        assert report is not None
        return report

    def write(self, change: Change = lambda page: None) -> None:
        """The pages, changed, as training examples."""
        fields = [("request_id", pa.string()), *((name, pa.int64()) for name in IDS)]
        fields += [("event_timestamp", pa.timestamp("us", tz="UTC")), ("position", pa.int64())]
        floats = (*(feature.name for feature in CONTEXT_FEATURES), *LABELS.values())
        fields += [(name, pa.float32()) for name in floats]
        fields += [("feature_service", pa.string()), ("logged_features", pa.list_(pa.float64()))]
        folder = self.folder / "training_examples"
        folder.mkdir(exist_ok=True)
        pages = deepcopy(self.pages)
        for page in pages:
            change(page)
        rows = [row for page in pages for row in page.rows()]
        pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(fields)), folder / "part-0.parquet")
        (folder / "_SUCCESS").touch()

    def _served(self, page: Page) -> Page:
        from features.rows import wide_read

        self.stream(page.at)
        now_ms = page.context()[2]

        async def read() -> Any:
            client = redis.asyncio.Redis.from_url(self.settings.redis.url)
            try:
                keys = Keyspace(self.settings.namespace, self.settings.redis.partitions)
                return await wide_read(client, keys, VIEWS, page.ids, now_ms)
            finally:
                await client.aclose()

        wide = asyncio.run(read())
        page.matrix = np.concatenate([wide.matrix, context_features(*page.context())], axis=1)
        return page

    def stream(self, at: datetime) -> None:
        """The newest rows of the stream's views, as its job would have them by ``at``."""
        from features.rows import put_row

        keys = Keyspace(self.settings.namespace, self.settings.redis.partitions)
        with redis.Redis.from_url(self.settings.redis.url) as client:
            for view in VIEWS:
                if view.engine == "flink":
                    frame = self.rows[view.name]
                    newest = frame[frame.event_timestamp <= at].drop_duplicates([*view.entities], keep="last")
                    pipe = client.pipeline(transaction=False)
                    for row in newest.to_dict("records"):
                        ids = [row[name] for name in view.entities]
                        ts_ms = int(row["event_timestamp"].timestamp() * 1000)
                        put_row(pipe, keys, view, ids, ts_ms, [row[name] for name in view.columns])
                    pipe.execute()


def _hourly(view: View, seed: int) -> pd.DataFrame:
    """A row of every entity at every hour of a day and a half, in order of time; some values are missing."""
    rng = np.random.default_rng(seed)
    keys = [*itertools.product(*(IDS[name] for name in view.entities))]
    moments = [START + timedelta(hours=hour) for hour in range(36)]
    frame = pd.DataFrame(
        [(*key, moment) for moment in moments for key in keys], columns=[*view.entities, "event_timestamp"]
    )
    for column in view.columns:
        values = rng.integers(1, 1000, len(frame)).astype(np.float32)
        frame[column] = np.where(rng.random(len(frame)) < 0.1, np.float32("nan"), values)
    stamps = frame["event_timestamp"].astype("datetime64[us, UTC]")
    return frame.assign(event_timestamp=stamps, created=stamps)


@pytest.fixture(scope="module")
def service(spark: Any, valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("served")
    settings = FeatureStoreSettings(
        namespace="served",
        redis=RedisSettings(url=valkey, partitions=4),
        features=FeatureSettings(
            offline=folder / "offline", registry=folder / "feast" / "registry.db", parity=LIMITS
        ),
    )
    with redis.Redis.from_url(valkey) as client:
        from features.rows import load_functions

        load_functions(client)
    return Service(settings)


def test_what_was_served_from_the_last_materialization_and_the_stream_agrees(service: Service) -> None:
    report = service.parity()
    assert report.rows == 72
    assert report.failures(LIMITS) == []
    by_name = {feature.name: feature for feature in report.features}
    # Six hours of pages after it: what Spark computes has changed offline, and online is as materialized.
    assert by_name["author_followers"].as_materialized > 40
    assert by_name["tweet_likes"].as_materialized == 0
    assert by_name["tweet_engagements_10m"].equal == by_name["tweet_engagements_10m"].compared > 40


def scaled(page: Page) -> None:
    page.matrix[:, SCALED] *= 2


def test_a_column_scaled_in_the_log_fails_and_the_others_do_not(service: Service) -> None:
    [failure] = service.parity(scaled).failures(LIMITS)
    assert failure.endswith("of author_followers differ, above 2.0%")


def test_a_feature_of_the_stream_that_is_an_hour_late_fails(service: Service) -> None:
    place = MODEL_INPUT.index("tweet_likes")
    rows = service.rows["tweet_engagement"]

    def late(page: Page) -> None:
        for line, tweet in enumerate(page.ids["tweet"].tolist()):
            known = rows[(rows.tweet == tweet) & (rows.event_timestamp <= page.at - timedelta(hours=1))]
            page.matrix[line, place] = known["tweet_likes"].iloc[-1]

    failures = service.parity(late).failures(LIMITS)
    assert failures
    assert all(" of tweet_likes " in failure for failure in failures)


def test_a_materialization_of_too_long_ago_excuses_nothing(service: Service) -> None:
    strict = LIMITS.model_copy(update={"stale_hours": 0.5})
    failures = service.parity(limits=strict).failures(strict)
    assert any("author_followers" in failure for failure in failures)
    assert not any("tweet_likes" in failure for failure in failures)


def test_pages_served_while_rows_are_written_agree_with_the_materialization_before(service: Service) -> None:
    from features.store import materialize, open_store

    def materialized_again(hours: int) -> ParityReport:
        """As the registry has it while rows are being written: the pages have met none of them."""
        store = open_store(service.settings)
        materialize(store, service.settings, MATERIALIZED + timedelta(hours=hours), lambda view: None)
        return service.parity()

    assert materialized_again(2).failures(LIMITS) == []
    assert any("author_followers" in failure for failure in materialized_again(4).failures(LIMITS))


def test_the_model_learns_from_the_logged_vectors_and_from_the_join_where_there_are_none(
    service: Service,
) -> None:
    from features.historical import training_frame

    def sevens(page: Page) -> None:
        page.matrix[:] = 7
        if page.number % 2:
            page.service = "another_service"

    service.write(sevens)
    frame = training_frame(service.settings)
    logged = frame.request_id.str.slice(1).astype(int) % 2 == 0
    assert (frame.logged == logged).all()
    assert (frame.loc[logged, list(MODEL_INPUT)] == 7).all().all()
    joined = frame.loc[~logged, ["author_followers", "tweet_likes", "context_age_hours"]]
    assert len(joined) == 36
    assert not (joined == 7).any(axis=1).all()
    assert joined.context_age_hours.between(24, 31).all()


def test_without_logged_features_there_is_nothing_to_compare(service: Service) -> None:
    from features.served_features import parity

    def foreign(page: Page) -> None:
        page.service = "another_service"

    service.write(foreign)
    assert parity(service.settings) is None


def test_a_service_that_lacks_a_view_is_refused_by_name(service: Service) -> None:
    from feast import FeatureService

    from features.historical import training_frame
    from features.store import apply_repo, open_store

    service.write()
    store = open_store(service.settings)
    views = [store.get_feature_view(view.name) for view in VIEWS if view.name != "tweet_engagement"]
    store.apply(FeatureService(name=FEATURE_SERVICE, features=views))
    with pytest.raises(FeatureServiceError, match="lacks tweet_engagement or columns of it: run"):
        training_frame(service.settings)
    store.delete_feature_service(FEATURE_SERVICE)
    with pytest.raises(FeatureServiceError, match="is not registered: run `tideline features apply`"):
        training_frame(service.settings)
    apply_repo(store, service.settings)
