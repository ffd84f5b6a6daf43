"""``tideline features doctor``: offline rows in Parquet, online rows on a real Valkey server or a cluster."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

pytest.importorskip("feast")

from features.doctor import Counts, ViewFindings, examine
from features.names import AUTHOR_POPULARITY, TWEET_CONTENT, TWEET_ENGAGEMENT, VIEWS, View
from features.offline_rows import OfflineView
from features.rows import encode_rows, load_functions, put_rows, row_key
from features.settings import FeatureSettings, FeatureStoreSettings
from features.store import OfflineRowsMissingError, offline_folder
from timelines.client import open_client
from timelines.keys import Keyspace
from timelines.settings import RedisSettings

pytestmark = pytest.mark.valkey
HOUR_MS = 3_600_000
NOW_MS = 1_800_000_000_000
MOMENT = NOW_MS - HOUR_MS
ENTITIES = 50
_namespaces = itertools.count()


@dataclass
class Stores:
    """The same rows offline and online: entities 1 to 50 of each view, each with one of two hours earlier."""

    settings: FeatureStoreSettings
    client: Any

    @property
    def keys(self) -> Keyspace:
        return Keyspace.of(self.settings)

    def ids(self, view: View) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.column_stack([np.arange(1, ENTITIES + 1)] * len(view.entities))

    def values(self, view: View, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.random.default_rng(seed).random((ENTITIES, len(view.columns)), dtype=np.float32)

    def write_offline(self, view: View) -> None:
        frames = []
        for moment, seed in ((MOMENT - 2 * HOUR_MS, 1), (MOMENT, 0)):
            frame = pd.DataFrame(self.ids(view), columns=list(view.entities))
            frame["event_timestamp"] = pd.to_datetime(moment, unit="ms", utc=True).as_unit("us")
            frame["created"] = frame["event_timestamp"]
            frames.append(frame.assign(**dict(zip(view.columns, self.values(view, seed).T, strict=True))))
        folder = offline_folder(self.settings) / view.name
        folder.mkdir(parents=True)
        pd.concat(frames).to_parquet(folder / "part-0.parquet")

    def write_online(
        self, view: View, values: Any, moment: int = MOMENT, *, only: slice = slice(None)
    ) -> None:
        pipe = self.client.pipeline(transaction=False)
        rows = encode_rows(view, np.full(len(values), moment), values)[only]
        put_rows(pipe, self.keys, view, self.ids(view)[: len(values)][only], rows)
        pipe.execute()

    def drop(self, view: View, entity: int) -> None:
        self.client.delete(row_key(self.keys, view, [entity] * len(view.entities)))

    def examine(self, **options: Any) -> dict[str, ViewFindings]:
        return examine(self.settings, NOW_MS, **({"sample": 1000} | options))


@pytest.fixture(params=["valkey", "valkey_cluster"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    address = RedisSettings(
        url=request.getfixturevalue(request.param),
        partitions=4,
        cluster=request.param == "valkey_cluster",
    )
    settings = FeatureStoreSettings(
        namespace=f"doctor{next(_namespaces)}",
        redis=address,
        features=FeatureSettings(offline=tmp_path / "offline", registry=tmp_path / "registry.db"),
    )
    client = open_client(address, timeout_s=10, connect_timeout_s=10, retries=0)
    load_functions(client)
    made = Stores(settings, client)
    for view in VIEWS:
        made.write_offline(view)
        made.write_online(view, made.values(view))
    yield made
    client.close()


def test_where_both_sides_say_the_same_nothing_is_found(stores: Stores) -> None:
    found = stores.examine()
    assert found.keys() == {view.name for view in VIEWS}
    for findings in found.values():
        assert (findings.rows, findings.amiss, findings.ahead, findings.other_schema) == (ENTITIES, 0, 0, 0)
        for counts in findings.features.values():
            assert counts == Counts(compared=ENTITIES, equal=ENTITIES)


def test_a_value_that_differs_is_found_and_shown(stores: Stores) -> None:
    values = stores.values(TWEET_CONTENT)
    values[6, 2] += 1
    stores.write_online(TWEET_CONTENT, values)
    found = stores.examine()["tweet_content"]
    assert found.features["tweet_mentions"] == Counts(compared=ENTITIES, equal=ENTITIES - 1, differing=1)
    assert found.amiss == 1
    [example] = found.examples
    assert (example.feature, example.entity, example.finding) == ("tweet_mentions", {"tweet": 7}, "differing")
    assert example.online == pytest.approx(example.offline + 1)


def test_a_row_that_is_absent_is_missing_on_its_side(stores: Stores) -> None:
    stores.drop(TWEET_CONTENT, 3)
    extra = stores.values(TWEET_CONTENT)[:1]
    pipe = stores.client.pipeline(transaction=False)
    rows = encode_rows(TWEET_CONTENT, np.array([MOMENT - 1]), extra)
    put_rows(pipe, stores.keys, TWEET_CONTENT, np.array([[999]]), rows)
    pipe.execute()
    counts = stores.examine()["tweet_content"].features["tweet_length"]
    assert counts == Counts(compared=49, equal=49, missing_online=1, missing_offline=1)


def test_a_null_on_one_side_is_a_value_missing_there(stores: Stores) -> None:
    values = stores.values(TWEET_CONTENT)
    values[0, 0] = np.nan
    stores.write_online(TWEET_CONTENT, values)
    features = stores.examine()["tweet_content"].features
    assert features["tweet_length"] == Counts(compared=49, equal=49, missing_online=1)
    assert features["tweet_hashtags"].amiss == 0


def test_an_older_row_of_other_values_is_stale(stores: Stores) -> None:
    for entity in (1, 2):
        stores.drop(AUTHOR_POPULARITY, entity)
    old = stores.values(AUTHOR_POPULARITY, seed=1)[:2]
    stores.write_online(AUTHOR_POPULARITY, old, MOMENT - 2 * HOUR_MS)
    for counts in stores.examine()["author_popularity"].features.values():
        assert counts == Counts(compared=ENTITIES, equal=48, stale=2)


def test_a_row_of_another_schema_is_missing_online_and_counted(stores: Stores) -> None:
    other = replace(TWEET_CONTENT, features=TWEET_CONTENT.features[::-1])
    stores.write_online(other, stores.values(other)[:5])
    found = stores.examine()["tweet_content"]
    assert found.other_schema == 5
    assert {counts.missing_online for counts in found.features.values()} == {5}


def test_a_row_of_the_stream_is_compared_at_the_moment_of_the_offline_one(stores: Stores) -> None:
    # Stamped with its newest event, 20 minutes before the tick; by then its windows have decayed.
    early = stores.values(TWEET_ENGAGEMENT).astype(np.float64)
    for column, feature in enumerate(TWEET_ENGAGEMENT.features):
        if feature.decay_s is not None:
            early[:, column] /= np.exp(-1200 / feature.decay_s)
    for entity in range(1, ENTITIES + 1):
        stores.drop(TWEET_ENGAGEMENT, entity)
    stores.write_online(TWEET_ENGAGEMENT, early.astype(np.float32), MOMENT - 1_200_000)
    found = stores.examine()["tweet_engagement"]
    assert {counts.equal for counts in found.features.values()} == {ENTITIES}


def test_where_nothing_stands_the_stream_needs_no_row(stores: Stores) -> None:
    path = offline_folder(stores.settings) / "tweet_engagement" / "part-0.parquet"
    rows = pd.read_parquet(path)
    rows.loc[rows["tweet"] == 4, list(TWEET_ENGAGEMENT.columns)] = 0.0
    rows.to_parquet(path)
    stores.drop(TWEET_ENGAGEMENT, 4)
    assert stores.examine()["tweet_engagement"].amiss == 0
    stores.drop(TWEET_ENGAGEMENT, 5)
    assert stores.examine()["tweet_engagement"].features["tweet_likes"].missing_online == 1


def test_rows_newer_than_anything_offline_are_passed_over(stores: Stores) -> None:
    stores.write_online(TWEET_ENGAGEMENT, stores.values(TWEET_ENGAGEMENT, seed=5)[:4], NOW_MS)
    found = stores.examine()["tweet_engagement"]
    assert (found.ahead, found.amiss) == (4, 0)
    assert {counts.compared for counts in found.features.values()} == {46}


def test_rows_past_their_ttl_are_none(stores: Stores) -> None:
    later = examine(stores.settings, NOW_MS + TWEET_CONTENT.ttl_seconds * 1000, 1000)
    assert later["tweet_content"].rows == 0
    assert later["tweet_content"].amiss == 0


def test_a_sample_is_of_that_many_entities_and_another_seed_takes_others(stores: Stores) -> None:
    offline = OfflineView(offline_folder(stores.settings) / TWEET_CONTENT.name, TWEET_CONTENT)
    one, again, other = (offline.sample(10, seed) for seed in (1, 1, 2))
    assert len({*one[:, 0].tolist()}) == 10
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()
    assert stores.examine(sample=10)["tweet_content"].features["tweet_length"].compared <= 20


def test_without_offline_rows_it_says_what_to_run(stores: Stores, tmp_path: Path) -> None:
    elsewhere = FeatureSettings(offline=tmp_path / "nowhere")
    with pytest.raises(OfflineRowsMissingError, match="run `tideline features build` first"):
        examine(stores.settings.model_copy(update={"features": elsewhere}), NOW_MS, 10)


def test_the_command_ends_with_1_where_something_differs(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stack.commands.features import app

    redis = stores.settings.redis
    monkeypatch.setenv("TIDELINE_NAMESPACE", stores.settings.namespace)
    monkeypatch.setenv("TIDELINE_REDIS__URL", redis.url)
    monkeypatch.setenv("TIDELINE_REDIS__PARTITIONS", str(redis.partitions))
    monkeypatch.setenv("TIDELINE_REDIS__CLUSTER", str(redis.cluster))
    monkeypatch.setenv("TIDELINE_FEATURES__OFFLINE", str(stores.settings.features.offline))
    moment = pd.Timestamp(NOW_MS, unit="ms").isoformat()
    asked = ["doctor", "--at", moment]
    same = CliRunner().invoke(app, [*asked, "--json"])
    assert same.exit_code == 0, same.output
    assert json.loads(same.output)["tweet_content"]["features"]["tweet_length"]["equal"] == ENTITIES

    values = stores.values(TWEET_CONTENT)
    values[0, 0] = np.nan
    values[1, 1] = 9
    stores.write_online(TWEET_CONTENT, values)
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 1
    assert "tweet_content tweet=2 tweet_hashtags: differing: online 9 of 2027" in told.output
    as_json = CliRunner().invoke(app, [*asked, "--json"])
    assert as_json.exit_code == 1
    examples = json.loads(as_json.output)["tweet_content"]["examples"]
    assert {example["online"] for example in examples} == {None, 9.0}
