"""What counts as a term of a tweet."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.trends.places import places_of
from pipelines.trends.stop_words import stop_words
from pipelines.trends.terms import TermReader


@pytest.fixture(scope="module")
def reader() -> TermReader:
    return TermReader(stop_words())


def names(reader: TermReader, text: str, lang: str = "en", tags: tuple[str, ...] = ()) -> set[str]:
    found = reader.read([text], [lang], [tags])
    cuts, letters = found.names(list(range(len(found.term))))
    shown = letters.tobytes().decode("utf-32-le")
    return {shown[start:end] for start, end in pairwise(cuts)}


def keys(reader: TermReader, text: str, tags: tuple[str, ...] = ()) -> set[int]:
    return set(reader.read([text], [""], [tags]).term.tolist())


def test_words_pairs_and_hashtags_are_terms_in_lower_case(reader: TermReader) -> None:
    assert names(reader, "Heavy Storm #Weather", tags=("Weather",)) == {
        "heavy",
        "storm",
        "heavy storm",
        "#weather",
    }


@pytest.mark.parametrize(
    "text",
    [
        "@stormy http://storm.example/storm?a=storm www.storm.example #storm",
        "HTTPS://EXAMPLE.ORG/storm",
        "the and of 2026 12",
        "",
        "...!?",
    ],
)
def test_links_mentions_hashtags_numbers_and_stop_words_are_no_words(reader: TermReader, text: str) -> None:
    assert names(reader, text) == set()


def test_a_pair_does_not_reach_over_a_sign_a_link_or_a_stop_word(reader: TermReader) -> None:
    assert names(reader, "storm, harbour http://a.b/c ferry of boats") == {
        "storm",
        "harbour",
        "ferry",
        "boats",
    }


def test_a_longer_stop_word_is_no_term_but_may_be_one_of_a_pair(reader: TermReader) -> None:
    assert names(reader, "world cup") == {"cup", "world cup"}


@pytest.mark.parametrize("other", ["world cup", "World-Cup", "worldcup", "WORLD_CUP"])
def test_ways_of_writing_the_same_letters_are_one_term(reader: TermReader, other: str) -> None:
    assert keys(reader, "", ("WorldCup",)) <= keys(reader, other)


def test_hashtags_differ_by_letters_only(reader: TermReader) -> None:
    assert len(keys(reader, "", ("WorldCup", "worldcup", "world_cup", "ＷｏｒｌｄＣｕｐ"))) == 1


@pytest.mark.parametrize(
    ("text", "lang", "expected"),
    [
        ("Сильный шторм", "ru", {"сильный", "шторм", "сильный шторм"}),
        ("वर्षा", "hi", {"वर्षा"}),
        ("عاصفة", "ar", {"عاصفة"}),
        ("東京の地震", "ja", {"東京", "地震"}),
        ("ワールドカップ決勝", "ja", {"ワールドカップ", "決勝", "ワールドカップ 決勝"}),
        ("태풍", "ko", {"태풍"}),
        ("tempête", "fr", {"tempête"}),
    ],
)
def test_words_of_many_scripts_are_found(
    reader: TermReader, text: str, lang: str, expected: set[str]
) -> None:
    assert names(reader, text, lang) == expected


def test_stop_words_are_those_of_the_tweets_language_and_of_english(reader: TermReader) -> None:
    assert "pero" in names(reader, "pero", "en")
    assert names(reader, "pero", "es") == set()
    assert names(reader, "because", "es") == set()


def test_without_words_only_hashtags_count() -> None:
    assert names(TermReader({}, words=False), "heavy storm", tags=("weather",)) == {"#weather"}


@given(st.lists(st.text(max_size=30), max_size=6))
def test_a_batch_has_the_terms_of_its_tweets_one_by_one(texts: list[str]) -> None:
    reader = TermReader({})
    batch = reader.read(texts, ["en"] * len(texts), [()] * len(texts))
    together = sorted(zip(batch.tweet.tolist(), batch.term.tolist(), strict=True))
    alone = sorted(
        (number, term)
        for number, text in enumerate(texts)
        for term in reader.read([text], ["en"], [()]).term.tolist()
    )
    assert together == alone


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (None, ("world",)),
        ("Kasumi", ("world", "Kasumi")),
        ("Lyon, France", ("world", "France", "Lyon, France")),
        ("world", ("world",)),
        (", ", ("world", ", ")),
    ],
)
def test_a_tweet_counts_for_the_world_its_country_and_its_city(
    place: str | None, expected: tuple[str, ...]
) -> None:
    assert places_of(place, "fr", languages=False) == expected


def test_a_tweet_counts_for_its_language_where_those_are_listed() -> None:
    assert places_of(None, "fr", languages=True) == ("world", "lang:fr")
