"""Two builds of a projection in one store, one server or a cluster: compared, and one of them unlinked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from stack.projections.keys_of import compare, unlink
from timelines import commands
from timelines.bodies import TweetBody
from timelines.client import open_client
from timelines.keys import Keyspace
from timelines.settings import Projections, RedisSettings

pytestmark = pytest.mark.valkey
_numbers = itertools.count()
TWEETS = 30


@pytest.fixture(params=["valkey", "valkey_cluster"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    url = request.getfixturevalue(request.param)
    address = RedisSettings(url=url, cluster=request.param == "valkey_cluster")
    made = open_client(address, timeout_s=10, connect_timeout_s=10, retries=0)
    yield made
    made.close()


@pytest.fixture
def old() -> Keyspace:
    return Keyspace(f"builds{next(_numbers)}", partitions=4)


@pytest.fixture
def new(old: Keyspace) -> Keyspace:
    return Keyspace(old.namespace, old.partitions, Projections(content=f"{old.namespace}.new"))


def fill(client: Any, keys: Keyspace) -> None:
    """Tweets and likes, and keys that are not of the projection `content`."""
    pipe = client.pipeline(transaction=False)
    for tweet in range(1, TWEETS + 1):
        body = TweetBody(tweet_id=tweet, author_id=7, text=f"word {tweet}", created_at=tweet)
        commands.put_body(pipe, keys, body)
        commands.set_like(pipe, keys, 5, tweet, tweet, True)
    pipe.execute()
    client.set(keys.key("idempotency", 1), b"kept")
    client.set(keys.outbox(1), b"of another projection")


def test_builds_of_the_same_events_are_equal(client: Any, old: Keyspace, new: Keyspace) -> None:
    fill(client, old)
    fill(client, new)
    found = {kind.kind: kind for kind in compare(client, old, new, ["content"])}
    assert set(found) == {"tweet", "likes"}
    assert (found["tweet"].before, found["tweet"].after, found["tweet"].sampled) == (TWEETS, TWEETS, TWEETS)
    assert found["tweet"].different == found["likes"].different == 0


def test_what_one_build_lacks_or_has_otherwise_is_counted(client: Any, old: Keyspace, new: Keyspace) -> None:
    fill(client, old)
    fill(client, new)
    client.delete(old.tweet(3))
    client.set(old.tweet(4), b"something else")
    commands.set_like(client, old, 5, 9, 10_000, False)
    found = {kind.kind: kind for kind in compare(client, old, new, ["content"])}
    assert (found["tweet"].before, found["tweet"].after, found["tweet"].different) == (TWEETS - 1, TWEETS, 2)
    assert found["likes"].different == 1


def test_unlinking_a_build_takes_its_keys_and_no_others(client: Any, old: Keyspace, new: Keyspace) -> None:
    fill(client, old)
    fill(client, new)
    assert unlink(client, old, "content", per_second=1e9) == TWEETS + 1
    assert not client.exists(old.tweet(1))
    assert client.exists(new.tweet(1))
    assert client.get(old.key("idempotency", 1)) == b"kept"
    assert client.exists(old.outbox(1))


def test_unlinking_is_held_to_its_rate(client: Any, old: Keyspace) -> None:
    fill(client, old)
    slept: list[float] = []
    unlink(client, old, "content", per_second=10, clock=lambda: 0.0, sleep=slept.append)
    assert slept[-1] == pytest.approx((TWEETS + 1) / 10)
