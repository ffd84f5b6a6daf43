"""Muted words match whole words, phrases and hashtags in any case and script."""

from __future__ import annotations

import pytest

from ingestion.muting import mutes


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("rain", "Rain, again"),
        ("rain", "no #rain today"),
        ("#rain", "no #RAIN today"),
        ("#rain", "＃rain"),
        ("climate change", "Climate \n change!"),
        ("straße", "STRASSE gesperrt"),
        ("ÉCOLE", "l'école"),
        ("c++", "I write C++."),
        ("雨", "今日は雨です"),
        ("🌧", "wet 🌧!"),
    ],
)
def test_a_muted_word_is_found(word: str, text: str) -> None:
    assert mutes(("nothing", word), text)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("rain", "Ukraine trains in rainy weather"),
        ("#rain", "rain"),
        ("#rain", "#rainbow"),
        ("climate change", "change of climate"),
        ("a.c", "abc"),
        ("rain", None),
        ("rain", ""),
    ],
)
def test_another_word_is_not(word: str, text: str | None) -> None:
    assert not mutes((word,), text)


def test_without_words_nothing_is_muted() -> None:
    assert not mutes((), "anything")
