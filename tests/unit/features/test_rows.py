import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features import rows
from features.connections import by_partition, in_order
from features.names import (
    ONLINE_VIEWS,
    TWEET_CONTENT,
    TWEET_ENGAGEMENT,
    USER_AUTHOR_AFFINITY,
    VIEWS,
    WINDOWS,
    Feature,
)
from timelines.keys import KINDS, Keyspace

DAY_MS = 24 * 3600 * 1000
NOW = 1_700_000_000_000
# A row as version 2 was first written: what is in a store must go on being read.
VERSION_2 = bytes.fromhex("02 9f358b40 0000018bcfe56800 0000c03f 0000c07f 00000040 0000803f".replace(" ", ""))


def test_a_row_of_version_2_still_reads() -> None:
    matrix, age = rows.decode_rows(TWEET_CONTENT, [VERSION_2], NOW + 2500)
    np.testing.assert_array_equal(matrix, np.array([[1.5, math.nan, 2.0, 1.0]], dtype=np.float32))
    assert age.tolist() == [2.5]


def test_a_row_is_written_as_version_2_is() -> None:
    assert rows.encode_row(TWEET_CONTENT, NOW, [1.5, math.nan, 2.0, 1.0]) == VERSION_2


def test_many_rows_encode_as_one_by_one() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    times = np.array([NOW, NOW + 1, NOW + 2], dtype=np.int64)
    expected = [rows.encode_row(TWEET_CONTENT, ts, line) for ts, line in zip(times, values, strict=True)]
    assert rows.encode_rows(TWEET_CONTENT, times, values) == expected


def test_an_absent_row_is_missing_and_has_no_age() -> None:
    matrix, age = rows.decode_rows(TWEET_CONTENT, [None, VERSION_2], NOW)
    assert np.isnan(matrix[0]).all()
    assert math.isnan(age[0])
    assert age[1] == 0.0


def test_a_stale_row_is_missing_but_tells_its_age() -> None:
    limit = TWEET_CONTENT.ttl_days * DAY_MS
    fresh, _ = rows.decode_rows(TWEET_CONTENT, [VERSION_2], NOW + limit)
    stale, age = rows.decode_rows(TWEET_CONTENT, [VERSION_2], NOW + limit + 1)
    assert fresh[0, 0] == 1.5
    assert np.isnan(stale).all()
    assert age[0] == (limit + 1) / 1000


@pytest.mark.parametrize(
    "blob", [b"\x01" + VERSION_2[1:], VERSION_2[:-4], VERSION_2 + b"\x00" * 4, b""], ids=str
)
def test_a_row_of_another_version_or_width_reads_as_absent(blob: bytes) -> None:
    matrix, age = rows.decode_rows(TWEET_CONTENT, [blob], NOW)
    assert np.isnan(matrix).all()
    assert np.isnan(age).all()


@pytest.mark.parametrize(
    "changed",
    [
        {"features": TWEET_CONTENT.features[::-1]},
        {"features": (Feature("tweet_words", ""), *TWEET_CONTENT.features[1:])},
        {"features": (Feature("tweet_length", "", decay_s=60.0), *TWEET_CONTENT.features[1:])},
        {"entities": ("author",)},
    ],
    ids=["order", "name", "lifetime", "join key"],
)
def test_a_row_of_another_schema_of_the_same_width_reads_as_absent(changed: dict[str, Any]) -> None:
    matrix, age = rows.decode_rows(replace(TWEET_CONTENT, **changed), [VERSION_2], NOW)
    assert np.isnan(matrix).all()
    assert np.isnan(age).all()


def test_what_is_said_of_a_feature_is_no_part_of_its_schema() -> None:
    features = tuple(Feature(feature.name, "in other words") for feature in TWEET_CONTENT.features)
    assert rows.decode_rows(replace(TWEET_CONTENT, features=features), [VERSION_2], NOW)[1].tolist() == [0.0]


def test_without_a_ttl_no_row_is_stale() -> None:
    matrix, _ = rows.decode_rows(replace(TWEET_CONTENT, ttl_days=0), [VERSION_2], NOW + 1000 * 365 * DAY_MS)
    assert matrix[0, 0] == 1.5


def test_zero_is_not_missing() -> None:
    row = rows.encode_row(TWEET_ENGAGEMENT, NOW, [0.0] * 7)
    matrix, _ = rows.decode_rows(TWEET_ENGAGEMENT, [row], NOW)
    assert matrix.tolist() == [[0.0] * 7]


def test_a_decaying_column_reads_as_what_is_left_of_it_and_the_others_as_they_were() -> None:
    row = rows.encode_row(TWEET_ENGAGEMENT, NOW, [4.0, 3.0, 2.0, 1.0, 8.0, 8.0, 8.0])
    matrix, _ = rows.decode_rows(TWEET_ENGAGEMENT, [row, row, row], NOW + 600_000)
    left = [8.0 * math.exp(-600 / seconds) for seconds in WINDOWS.values()]
    assert matrix[0].tolist() == pytest.approx([4.0, 3.0, 2.0, 1.0, *left])
    # A row from the future has not decayed.
    assert rows.decode_rows(TWEET_ENGAGEMENT, [row], NOW - 5)[0][0, 4] == 8.0


def test_no_rows_decode_to_an_empty_matrix() -> None:
    matrix, age = rows.decode_rows(TWEET_CONTENT, [], NOW)
    assert matrix.shape == (0, 4)
    assert age.shape == (0,)


def test_a_row_of_the_wrong_width_is_refused() -> None:
    with pytest.raises(ValueError, match="tweet_content has 4 columns, not 3"):
        rows.encode_row(TWEET_CONTENT, NOW, [1.0, 2.0, 3.0])


def test_the_row_of_a_pair_stands_in_the_partition_of_its_user() -> None:
    keys = Keyspace("ns", 16)
    assert rows.row_key(keys, USER_AUTHOR_AFFINITY, (18, 5)) == "ns:feature:user_author_affinity:{2}:18:5"


@pytest.mark.parametrize("entities", [("tweet",), ("user", "author"), ("user", "author", "tweet")], ids=len)
def test_rows_are_written_where_each_is_looked_for(entities: tuple[Any, ...]) -> None:
    view, keys = replace(TWEET_CONTENT, entities=entities), Keyspace("ns", 4)
    ids = np.random.default_rng(3).integers(-100, 2**62, (30, len(entities)))
    written: list[str] = []

    class Pipe:
        def fcall(self, name: str, number: int, *arguments: Any) -> None:
            written.extend(arguments[:number])

    rows.put_rows(Pipe(), keys, view, ids, [VERSION_2] * 30)
    assert sorted(written) == sorted(rows.row_key(keys, view, each) for each in ids.tolist())


def test_the_pattern_of_a_view_matches_no_other_view() -> None:
    keys = Keyspace("ns", 16)
    assert rows.row_pattern(keys, "tweet_content") == "ns:feature:tweet_content:*"


def test_rows_that_the_stream_writes_belong_to_the_projection_engagement_and_no_others() -> None:
    streamed = {view.name for view in (*VIEWS, *ONLINE_VIEWS) if view.engine == "flink"}
    assert {kind for kind in KINDS["engagement"] if kind.startswith("feature:")} == {
        f"feature:{name}" for name in streamed
    }


def test_answers_of_grouped_reads_come_back_in_order() -> None:
    groups = by_partition([3, 1, 3, 2])
    answers = [[b"%d" % index for index in group] for group in groups]
    assert in_order(groups, answers) == [b"0", b"1", b"2", b"3"]
