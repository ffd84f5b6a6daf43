"""What Feast's documentation says of an online store, through Feast's own API: Feast's Redis store is the
reference, ours has to answer the same on one Valkey server and on a cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import pandas as pd
import pytest

pytest.importorskip("feast")

from feast import FeatureService, FeatureView, Field
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Float32, String
from feast_under_test import AUTHOR, BOTH, COUNTRY, ENCODED, NOW, PACKED, USER, Feast, feature_view

pytestmark = pytest.mark.valkey
HOUR = timedelta(hours=1)


@BOTH
def test_a_null_is_no_zero(feast: Feast, view: FeatureView) -> None:
    feast.apply(USER, view)
    feast.write(view, ({"user": 1}, {"likes": None, "rate": 0.0}, NOW))
    assert feast.read([f"{view.name}:likes", f"{view.name}:rate"], {"user": 1}) == {
        "user": [1],
        "likes": [None],
        "rate": [0.0],
    }


@BOTH
def test_an_entity_that_was_never_written_has_nulls_that_are_not_found(
    feast: Feast, view: FeatureView
) -> None:
    feast.apply(USER, view)
    feast.write(view, ({"user": 1}, {"likes": 1.0, "rate": 2.0}, NOW))
    answer = feast.store.get_online_features(
        features=[f"{view.name}:likes"], entity_rows=[{"user": 2}, {"user": 1}]
    )
    assert answer.to_dict()["likes"] == [None, 1.0]
    [_, likes] = answer.proto.results
    # Feast's Redis store says PRESENT of these, too.
    absent = FieldStatus.PRESENT if feast.kind == "stock" else FieldStatus.NOT_FOUND
    assert list(likes.statuses) == [absent, FieldStatus.PRESENT]


@BOTH
def test_the_event_time_comes_with_the_value(feast: Feast, view: FeatureView) -> None:
    feast.apply(USER, view)
    feast.write(view, ({"user": 1}, {"likes": 1.0}, NOW - HOUR))
    answer = feast.store.get_online_features(features=[f"{view.name}:likes"], entity_rows=[{"user": 1}])
    assert answer.proto.results[1].event_timestamps[0].ToDatetime(UTC) == NOW - HOUR


@BOTH
def test_only_the_features_asked_for_are_read(feast: Feast, view: FeatureView) -> None:
    feast.apply(USER, view)
    feast.write(view, ({"user": 1}, {"likes": 1.0, "rate": 2.0}, NOW))
    assert list(feast.read([f"{view.name}:rate"], {"user": 1})) == ["user", "rate"]
    both = feast.read([f"{view.name}:rate", f"{view.name}:likes"], {"user": 1})
    assert both == {"user": [1], "rate": [2.0], "likes": [1.0]}


def test_full_feature_names_carry_their_view(feast: Feast) -> None:
    feast.apply(USER, PACKED, ENCODED)
    for view, likes in ((PACKED, 1.0), (ENCODED, 2.0)):
        feast.write(view, ({"user": 1}, {"likes": likes, "rate": 0.0}, NOW))
    answer = feast.read(["packed:likes", "encoded:likes"], {"user": 1}, full_feature_names=True)
    assert answer == {"user": [1], "packed__likes": [1.0], "encoded__likes": [2.0]}


def test_a_feature_service_reads_what_it_names(feast: Feast) -> None:
    service = FeatureService(name="ranking", features=[PACKED[["rate"]], ENCODED[["label"]]])
    feast.apply(USER, PACKED, ENCODED, service)
    feast.write(PACKED, ({"user": 1}, {"likes": 1.0, "rate": 2.0}, NOW))
    feast.write(ENCODED, ({"user": 1}, {"label": "old"}, NOW))
    answer = feast.read(feast.store.get_feature_service("ranking"), {"user": 1})
    assert answer == {"user": [1], "rate": [2.0], "label": ["old"]}


@pytest.mark.parametrize("extra", [{}, {"label": String}], ids=["packed", "encoded"])
def test_entities_of_several_columns_are_told_apart(feast: Feast, extra: dict[str, Any]) -> None:
    view = feature_view("pairs", [USER, AUTHOR], affinity=Float32, **extra)
    feast.apply(USER, AUTHOR, view)
    pairs = [(1, 23), (12, 3), (23, 1)]
    for number, (user, author) in enumerate(pairs):
        feast.write(view, ({"author": author, "user": user}, {"affinity": float(number)}, NOW))
    rows = [{"user": user, "author": author} for user, author in (*pairs, (3, 12))]
    assert feast.read(["pairs:affinity"], *rows)["affinity"] == [0.0, 1.0, 2.0, None]


@pytest.mark.parametrize("extra", [{}, {"label": String}], ids=["packed", "encoded"])
def test_three_columns_make_an_entity_too(feast: Feast, extra: dict[str, Any]) -> None:
    view = feature_view("triples", [USER, AUTHOR, COUNTRY], affinity=Float32, **extra)
    feast.apply(USER, AUTHOR, COUNTRY, view)
    feast.write(view, ({"user": 1, "author": 2, "country": "x"}, {"affinity": 1.0}, NOW))
    rows = [{"user": 1, "author": 2, "country": country} for country in ("x", "y")]
    assert feast.read(["triples:affinity"], *rows)["affinity"] == [1.0, None]


@BOTH
def test_one_entity_asked_for_twice_is_answered_twice(feast: Feast, view: FeatureView) -> None:
    feast.apply(USER, view)
    feast.write(view, *(({"user": user}, {"likes": float(user)}, NOW) for user in range(5)))
    rows = [{"user": user} for user in (4, 2, 4, 0)]
    assert feast.read([f"{view.name}:likes"], *rows)["likes"] == [4.0, 2.0, 4.0, 0.0]


def test_a_view_without_an_entity_has_one_row(feast: Feast) -> None:
    view = feature_view("totals", [], tweets=Float32)
    feast.apply(view)
    dummy = Field(name="__dummy_id", dtype=String)
    registered = feast.store.registry.get_feature_view("totals", feast.store.project)
    assert registered.entity_columns == [dummy]
    key = EntityKey(join_keys=["__dummy_id"], entity_values=[Value(string_val="")])
    row = (key, {"tweets": Value(float_val=3.0)}, NOW, None)
    feast.store.provider.online_write_batch(feast.store.config, registered, [row], None)
    assert feast.read(["totals:tweets"], {"user": 1})["tweets"] == [3.0]


@BOTH
def test_a_view_under_another_name_and_join_key_reads_the_same_rows(feast: Feast, view: FeatureView) -> None:
    reader = view.with_name("reader")
    writer = view.with_name("writer").with_join_key_map({"user": "author"})
    service = FeatureService(name="both_sides", features=[reader[["likes"]], writer[["likes"]]])
    feast.apply(USER, view, service)
    feast.write(view, *(({"user": user}, {"likes": float(user)}, NOW) for user in (1, 2)))
    answer = feast.read(
        feast.store.get_feature_service("both_sides"), {"user": 1, "author": 2}, full_feature_names=True
    )
    assert (answer["reader__likes"], answer["writer__likes"]) == ([1.0], [2.0])


@BOTH
def test_an_older_row_does_not_replace_a_newer_one(feast: Feast, view: FeatureView) -> None:
    feast.apply(USER, view)
    for hours, likes in ((2, 1.0), (1, 2.0), (3, 3.0)):
        feast.write(view, ({"user": 1}, {"likes": likes}, NOW - hours * HOUR))
    assert feast.read([f"{view.name}:likes"], {"user": 1})["likes"] == [2.0]


@BOTH
def test_the_newest_row_of_a_batch_wins_whatever_its_place(feast: Feast, view: FeatureView) -> None:
    feast.apply(USER, view)
    moments = [NOW - hours * HOUR for hours in (2, 1, 3)]
    feast.write(view, *(({"user": 1}, {"likes": float(n)}, when) for n, when in enumerate(moments)))
    assert feast.read([f"{view.name}:likes"], {"user": 1})["likes"] == [1.0]


@BOTH
def test_a_frame_pushed_to_the_store_is_read_back(feast: Feast, view: FeatureView) -> None:
    feast.apply(USER, view)
    frame = pd.DataFrame(
        {"user": [1, 2], "event_timestamp": [NOW, NOW], "likes": [0.5, 1.5], "rate": [1.0, None]}
    )
    frame["label"] = "x"
    columns = ["user", "event_timestamp", *(feature.name for feature in view.features)]
    feast.store.write_to_online_store(view.name, frame[columns])
    answer = feast.read([f"{view.name}:likes", f"{view.name}:rate"], {"user": 2}, {"user": 1})
    assert answer["likes"] == [1.5, 0.5]
    assert answer["rate"][1] == 1.0


@BOTH
def test_an_asynchronous_read_answers_as_a_synchronous_one(feast: Feast, view: FeatureView) -> None:
    feast.apply(USER, view)
    feast.write(view, *(({"user": user}, {"likes": float(user), "rate": None}, NOW) for user in range(9)))
    refs, rows = [f"{view.name}:likes", f"{view.name}:rate"], [{"user": user} for user in (8, 1, 77)]

    async def read() -> dict[str, list[Any]]:
        answer = await feast.store.get_online_features_async(features=refs, entity_rows=rows)
        await feast.store.close()
        return dict(answer.to_dict())

    assert asyncio.run(read()) == feast.read(refs, *rows)


@BOTH
def test_the_rows_of_a_view_that_is_no_longer_applied_are_gone(feast: Feast, view: FeatureView) -> None:
    kept = feature_view("kept", [USER], likes=Float32)
    feast.apply(USER, view, kept)
    for each in (view, kept):
        feast.write(each, ({"user": 1}, {"likes": 1.0}, NOW))
    feast.store.apply([USER, kept], objects_to_delete=[view], partial=False)
    feast.apply(USER, view, kept)
    answer = feast.read([f"{view.name}:likes", "kept:likes"], {"user": 1}, full_feature_names=True)
    assert answer == {"user": [1], f"{view.name}__likes": [None], "kept__likes": [1.0]}


@BOTH
def test_after_a_teardown_nothing_is_left(feast: Feast, view: FeatureView) -> None:
    feast.apply(USER, view)
    feast.write(view, ({"user": 1}, {"likes": 1.0}, NOW))
    feast.store.teardown()
    feast.apply(USER, view)
    assert feast.read([f"{view.name}:likes"], {"user": 1})["likes"] == [None]


def test_two_projects_on_one_server_do_not_meet(open_feast: Callable[[], Feast]) -> None:
    ours, neighbour = open_feast(), open_feast()
    for each, likes in ((ours, 1.0), (neighbour, 2.0)):
        each.apply(USER, PACKED)
        each.write(PACKED, ({"user": 1}, {"likes": likes}, NOW))
    assert ours.read(["packed:likes"], {"user": 1})["likes"] == [1.0]
    assert neighbour.read(["packed:likes"], {"user": 1})["likes"] == [2.0]


def test_a_key_of_a_type_that_the_entity_has_not_is_an_error(feast: Feast) -> None:
    feast.apply(USER, PACKED)
    with pytest.raises((TypeError, ValueError)):
        feast.read(["packed:likes"], {"user": "ann"})
