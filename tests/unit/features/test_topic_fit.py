"""How well an item's words fit a reader, by topics found from earlier texts alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from features.ranking_log import Candidates, Follows, RankingLog, Texts
from features.topic_fit import EVERY_MS, SOURCES, topic_fits

TOPICS, WORDS, TEXTS, WORDS_EACH = 20, 30, 600, 6


def two_tastes() -> RankingLog:
    """Author ``n`` writes on topic ``n``; readers 0 and 1 are shown the same two items, on topics 0 and 1."""
    rng = np.random.default_rng(2)
    author = np.append(np.arange(TEXTS) % TOPICS, [0, 1])
    item = np.repeat(np.arange(TEXTS + 2), WORDS_EACH)
    texts = Texts(
        time=np.repeat(np.arange(TEXTS + 2), WORDS_EACH),
        author=np.repeat(np.where(np.arange(TEXTS + 2) < TEXTS, author, 99), WORDS_EACH),
        item=item,
        word=np.repeat(author, WORDS_EACH) * WORDS + rng.integers(0, WORDS, len(item)),
    )
    times = np.repeat([EVERY_MS - 2, EVERY_MS + 1], 4)
    rows = Candidates.shown_together(
        request=np.repeat(np.arange(4), 2),
        time=times,
        user=np.array([0, 0, 1, 1] * 2),
        item=np.array([TEXTS, TEXTS + 1] * 4),
        label=np.array([1.0, 0.0, 0.0, 1.0] * 2),
        later=np.zeros(8, dtype=bool),
    )
    return RankingLog(rows, follows=Follows.always(np.array([0, 1]), np.array([0, 1])), texts=texts)


def test_an_item_on_the_readers_topic_fits_better_by_every_source() -> None:
    for source, fit in topic_fits(two_tastes()).items():
        first, second, third, fourth = fit[4:]
        assert first > second, source
        assert fourth > third, source


def test_there_is_no_fit_before_there_were_topics() -> None:
    fits = topic_fits(two_tastes())
    assert all(np.isnan(fits[source][:4]).all() for source in SOURCES)


def test_an_item_without_words_has_no_fit() -> None:
    log = two_tastes()
    silent = replace(log, candidates=replace(log.candidates, item=np.full(8, TEXTS + 7)))
    assert all(np.isnan(fit).all() for fit in topic_fits(silent).values())
    assert all(np.isnan(fit).all() for fit in topic_fits(replace(log, texts=Texts.none())).values())
