"""Reads of the tables: equal to a plain search, and bounded in what they touch."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from records import partitions
from records.appearances import EVERYTHING, NEWEST, Appearance, Appearances
from records.connections import connect, open_engine
from records.lists import NEWEST_EDGE, Edge, Lists
from records.materialize import Materializer
from records.settings import RecordsSettings

pytestmark = pytest.mark.postgres

MONTH = partitions.WIDTH


@pytest.fixture
def tables(records: RecordsSettings, records_namespace: str) -> Iterator[Materializer]:
    made = Materializer(lambda: connect(records, records_namespace))
    yield made
    made.close()


@pytest.fixture
def ask(records: RecordsSettings, records_namespace: str) -> Callable[[Callable[[Any], Any]], Any]:
    """Runs ``question(engine)`` in a loop of its own."""

    def asked(question: Callable[[Any], Any]) -> Any:
        async def whole() -> Any:
            engine = open_engine(records, records_namespace)
            try:
                return await question(engine)
            finally:
                await engine.dispose()

        return asyncio.run(whole())

    return asked


def tweet_row(tweet_id: int, author: int, deleted: bool = False, reply: int | None = None) -> tuple[Any, ...]:
    shown = (None, None, "public", reply, None, ["tag"], [5], [])
    return (tweet_id, author, f"text {tweet_id}", 1, *shown, deleted, 1, "e")


@pytest.mark.parametrize("seed", range(5))
def test_the_newest_before_any_id_of_any_authors_equal_a_plain_search(
    tables: Materializer, ask: Any, seed: int
) -> None:
    rng = random.Random(seed)
    ids = rng.sample([month * MONTH + offset for month in (0, 3, 4, 9) for offset in range(1, 200)], 500)
    tweets = [
        tweet_row(i, rng.choice([1, 1, 1, 2, 3, rng.randint(4, 30)]), rng.random() < 0.1) for i in ids[:300]
    ]
    retweets = [
        (i, rng.choice([1, 2, rng.randint(3, 30)]), 7, 99, rng.random() < 0.9, 1, "e") for i in ids[300:]
    ]
    tables.write({"tweets": tweets, "retweets": retweets})
    standing = [Appearance(r[0], r[1], r[0], r[1]) for r in tweets if not r[-3]]
    standing += [Appearance(r[0], r[1], r[2], r[3]) for r in retweets if r[4]]
    standing.sort(key=lambda appearance: -appearance.appearance_id)
    for _ in range(20):
        authors = rng.sample(range(1, 40), rng.choice([1, 2, 10, 30]))
        below, limit = rng.choice([EVERYTHING, *ids]), rng.choice([1, 3, 20, 400])
        expected = [a for a in standing if a.author in authors and a.appearance_id < below][:limit]
        assert ask(lambda engine: Appearances(engine).newest(authors, below, limit)) == expected  # noqa: B023


def test_reading_the_newest_of_a_thousand_authors_touches_a_bounded_number_of_buffers(
    tables: Materializer, records: RecordsSettings, records_namespace: str
) -> None:
    rng = random.Random(1)

    def touched(rows_per_author: int) -> int:
        count = 2000 * rows_per_author
        numbers = rng.sample(range(1, MONTH - 1), count + count // 4)
        tables.write(
            {
                "tweets": [tweet_row(i, rng.randrange(2000)) for i in numbers[:count]],
                "retweets": [(i, rng.randrange(2000), 7, 9, True, 1, "e") for i in numbers[count:]],
            }
        )
        with connect(records, records_namespace) as connection:
            connection.autocommit = True
            connection.execute("VACUUM (ANALYZE) tweets, retweets")
            arguments = {"authors": list(range(1000)), "first": 0, "below": MONTH // 2, "each": 4}
            (plan,) = connection.execute(
                "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + NEWEST, arguments
            ).fetchone() or (None,)
        top = plan[0]["Plan"]
        return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])

    small, large = touched(10), touched(50)
    # Per author and table: the way down the index, one leaf or two, and the visibility map.
    assert small <= large <= 1000 * 2 * 5
    assert large <= small * 1.5


def test_the_plan_reads_one_partition_by_its_index(
    tables: Materializer, records: RecordsSettings, records_namespace: str
) -> None:
    tables.write({"tweets": [tweet_row(month * MONTH + 5, 1) for month in range(6)]})
    with connect(records, records_namespace) as connection:
        connection.execute("SET enable_seqscan = off")  # six rows would not be worth an index
        first, end = partitions.bounds(3)
        arguments = {"authors": [1], "first": first, "below": end, "each": 4}
        (plan,) = connection.execute("EXPLAIN (FORMAT JSON) " + NEWEST, arguments).fetchone() or (None,)
    assert "tweets_p0003" in str(plan)
    assert "tweets_p0002" not in str(plan)
    assert "tweets_p0004" not in str(plan)


def test_who_retweeted_is_told_newest_first_up_to_a_moment(tables: Materializer, ask: Any) -> None:
    rows = [
        (20, 1, 7, 9, True),
        (21, 2, 7, 9, True),
        (22, 3, 7, 9, False),
        (23, 4, 7, 9, True),
        (24, 1, 8, 9, True),
    ]
    tables.write({"retweets": [(*row, 1, "e") for row in rows]})
    found = ask(lambda engine: Appearances(engine).retweeters([7, 8], [1, 2, 3], top=23))
    assert found == {7: [(21, 2), (20, 1)]}
    assert ask(lambda engine: Appearances(engine).retweeters([], [1], top=23)) == {}


def test_stored_tweets_and_replies_are_read_back(tables: Materializer, ask: Any) -> None:
    rows = [
        tweet_row(5, 1),
        *(tweet_row(i, 2, reply=5) for i in (MONTH + 1, 10, 20)),
        tweet_row(15, 2, True, 5),
    ]
    tables.write({"tweets": rows})
    found = ask(lambda engine: Lists(engine).tweets([5, 15, 99]))
    assert {i: (t.text, t.hashtags, t.mentions, t.deleted) for i, t in found.items()} == {
        5: ("text 5", ("tag",), (5,), False),
        15: ("text 15", ("tag",), (5,), True),
    }
    assert ask(lambda engine: Lists(engine).replies(5, 0, 2)) == [10, 20]
    assert ask(lambda engine: Lists(engine).replies(5, 20, 2)) == [MONTH + 1]


def test_followers_and_followed_are_listed_the_newest_follow_first_page_by_page(
    tables: Materializer, ask: Any
) -> None:
    edges = [(user, 1, user != 4, 10 + user // 2, "e") for user in range(2, 8)]
    tables.write({"follows": [*edges, (1, 2, True, 5, "e"), (1, 3, True, 6, "e")]})
    pages, before = [], NEWEST_EDGE
    while page := ask(lambda engine: Lists(engine).followers(1, before, 2)):  # noqa: B023
        pages.append([edge.user for edge in page])
        before = page[-1]
    assert pages == [[7, 6], [5, 3], [2]]
    assert ask(lambda engine: Lists(engine).following(1, NEWEST_EDGE, 9)) == [Edge(3, 6), Edge(2, 5)]
