"""The queries of docs/trends.md run as they stand there."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

DOCS = Path(__file__).parents[2] / "docs" / "trends.md"


def queries(language: str, week: Any) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return [
        text.replace("TRENDS", str(week.home / "trends")).replace("LAKE", str(week.home / "lake"))
        for text in found
    ]


def ask(query: str) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        relation = connection.execute(query)
        names = [column[0] for column in relation.description or ()]
        return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]


def test_what_is_rising_now(trends_week: Any) -> None:
    rows = ask(queries("sql", trends_week)[0])
    assert [(row["place"], row["term"], row["authors"]) for row in rows] == [
        ("Oslo", "#storm", 40),
        ("Rome", "#storm", 40),
        ("world", "#storm", 40),
    ]


def test_where_it_started(trends_week: Any) -> None:
    (row,) = ask(queries("sql", trends_week)[1])
    assert (row["term"], row["place"], row["places"]) == ("#storm", "Oslo", 2)
    assert row["since"] == trends_week.end - timedelta(hours=2)


def test_whose_tweets_carried_it(trends_week: Any) -> None:
    rows = ask(queries("sql", trends_week)[2])
    assert [(row["author_id"], row["tweets"]) for row in rows] == [(a, 5) for a in (2, 4, 6, 8, 10, 12)]


def test_how_it_compares_with_a_week_before(trends_week: Any) -> None:
    names: dict[str, Any] = {}
    exec(queries("python", trends_week)[0], names)  # noqa: S102 - the documented query
    compared = names["compared"]
    (storm,) = compared[(compared.as_of == trends_week.end) & (compared.term == "#storm")].to_dict("records")
    assert (storm["authors"], storm["authors_before"]) == (40, 5)


@pytest.mark.spark
def test_hours_on_the_page_in_spark(trends_week: Any) -> None:
    from features.settings import FeatureSettings
    from features.spark_session import spark_session
    from stack.java import JavaNotFoundError, find_java

    try:
        os.environ["JAVA_HOME"] = str(find_java(os.environ))
    except JavaNotFoundError as error:
        pytest.skip(str(error))
    # Feast leaves a setting behind in the process's session that gives backticks another meaning.
    spark = spark_session(FeatureSettings(spark_memory="1g", shuffle_partitions=2)).newSession()
    names: dict[str, Any] = {"spark": spark}
    exec(queries("python", trends_week)[1], names)  # noqa: S102 - the documented query
    rows = {row.place: row for row in names["hours"].collect()}
    assert rows["Oslo"].hours == pytest.approx(3 / 12)
    assert rows["Rome"].highest == 9.0
