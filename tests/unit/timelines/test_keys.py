from __future__ import annotations

import re

import pytest

from timelines.keys import Keyspace

SNOWFLAKE = 2**60 + 5


@pytest.mark.parametrize("kind", ["home", "outbox", "followees", "likes", "retweets", "account"])
def test_every_key_of_a_user_carries_the_tag_of_the_users_partition(kind: str) -> None:
    assert getattr(Keyspace("demo", 16), kind)(SNOWFLAKE) == f"demo:{kind}:{{5}}:{SNOWFLAKE}"


def test_the_live_namespace_has_a_prefix_of_its_own() -> None:
    assert Keyspace("", 16).home(1) == "tideline:home:{1}:1"


def test_many_keys_equal_single_keys() -> None:
    keys = Keyspace("a", 7)
    assert keys.keys("home", range(20)) == [keys.home(user) for user in range(20)]
    assert keys.keys("home", range(20), "+") == [keys.home_tail(user) for user in range(20)]


def test_a_pair_key_lies_in_the_partition_of_its_first_id() -> None:
    assert Keyspace("a", 4).key("feature:pair", 6, 9) == "a:feature:pair:{2}:6:9"


def test_the_keys_of_many_pairs_are_those_of_each() -> None:
    keys = Keyspace("a", 4)
    assert keys.pair_keys("pair", [(6, 9), (7, 1)]) == [keys.key("pair", 6, 9), keys.key("pair", 7, 1)]


def test_keys_without_a_user_have_one_tag_too() -> None:
    keys = Keyspace("a", 4)
    for key in (keys.pulled(), keys.trends("world", "1h"), keys.activated(3)):
        assert len(re.findall(r"\{[^{}]+\}", key)) == 1
