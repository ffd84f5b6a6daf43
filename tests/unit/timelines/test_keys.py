from __future__ import annotations

import re

import pytest

from timelines.keys import KINDS, Keyspace
from timelines.settings import PROJECTIONS, Projections

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


def test_keys_without_a_user_have_one_tag_too() -> None:
    keys = Keyspace("a", 4)
    for key in (keys.pulled(), keys.trends("world", "1h"), keys.activated(3)):
        assert len(re.findall(r"\{[^{}]+\}", key)) == 1


def test_the_keys_of_a_named_projection_begin_with_its_name_and_all_others_with_the_namespace() -> None:
    keys = Keyspace("a", 4, Projections(timelines="a.x"))
    assert keys.home(1) == "a.x:home:{1}:1"
    assert keys.keys("outbox", [5]) == ["a.x:outbox:{1}:5"]
    assert keys.pulled() == "a.x:pulled:{pulled}"
    assert keys.pulled_shares() == "a.x:pulled_shares:{pulled}"
    assert keys.pattern("home") == "a.x:home:*"
    assert keys.tweet(1) == Keyspace("a", 4).tweet(1)
    assert keys.key("idempotency", 1, 2) == "a:idempotency:{1}:1:2"


def test_marks_and_what_only_the_store_knows_belong_to_no_projection() -> None:
    named = Keyspace("a", 4, Projections(**dict.fromkeys(PROJECTIONS, "a.x")))
    for kind in ("idempotency", "tweet_limit", "ranking", "marked", "mark_tweet", "mark_account"):
        assert named.head(kind) == f"a:{kind}:"


@pytest.mark.parametrize("of", [kind for kinds in KINDS.values() for kind in kinds])
def test_each_kind_belongs_to_one_projection(of: str) -> None:
    assert [job for job, kinds in KINDS.items() if of in kinds] == [
        job for job in PROJECTIONS if Keyspace("a", 4, Projections(**{job: "a.x"})).head(of) == f"a.x:{of}:"
    ]
