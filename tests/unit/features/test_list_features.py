"""Features of lists: what they say of a small log, and that none of them sees what is later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.leak_check import leaking
from features.list_catalogue import render
from features.list_features import CATALOGUE, ListFeature
from features.list_table import compute, rank_within
from features.past import PRIOR_WEIGHT, Past
from features.ranking_log import VERBS, Acts, Candidates, Follows, RankingLog, Texts
from timelines.durations import HOUR_MS

LISTS, SIZE = 40, 5
TEXTS, WORDS_EACH = 800, 4


def random_log(delay_ms: int = 0) -> RankingLog:
    """40 lists of 5 rows, an hour apart, by six readers, on eight authors, with acts, follows and texts."""
    rng = np.random.default_rng(3)
    count = LISTS * SIZE
    request = np.repeat(np.arange(LISTS), SIZE)
    time = (request + 1) * HOUR_MS
    label = (rng.random(count) < 0.3).astype(float)
    rows = Candidates(
        request=request,
        list=request,
        time=time,
        known=time + delay_ms,
        counted=time,
        user=np.repeat(rng.integers(0, 6, LISTS), SIZE),
        author=rng.integers(0, 8, count),
        item=rng.integers(0, 10, count),
        topic=rng.integers(0, 3, count),
        label=label,
        value=label * rng.integers(1, 5, count),
        later=request >= 30,
        judged=rng.random(count) < 0.9,
        attributes={"rating": rng.integers(1, 10, count).astype(float), "seen_hours": rng.random(count)},
    )
    acts = Acts(
        time=rng.integers(0, LISTS, 300) * HOUR_MS,
        user=rng.integers(0, 8, 300),
        author=rng.integers(0, 8, 300),
        item=rng.integers(0, 10, 300),
        verb=rng.integers(0, len(VERBS), 300),
    )
    follows = Follows(rng.integers(0, 8, 30), rng.integers(0, 8, 30))
    written = np.append(np.zeros(10, dtype=np.int64), np.sort(rng.integers(1, LISTS * HOUR_MS, TEXTS)))
    item = np.repeat(np.arange(10 + TEXTS), WORDS_EACH)
    texts = Texts(
        time=np.repeat(written, WORDS_EACH),
        author=np.repeat(rng.integers(0, 8, 10 + TEXTS), WORDS_EACH),
        item=item,
        word=rng.integers(0, 80, len(item)),
    )
    return RankingLog(rows, acts, follows, texts)


@pytest.mark.parametrize("delay_ms", [0, 3 * HOUR_MS])
def test_no_feature_of_the_catalogue_changes_with_what_is_later(delay_ms):
    for moment in (10 * HOUR_MS, 25 * HOUR_MS, 33 * HOUR_MS):
        assert leaking(random_log(delay_ms), moment) == ()


def test_a_planted_leak_is_found():
    def whole_rate(past: Past) -> np.ndarray:
        hits = np.bincount(past.rows.item, past.rows.label, minlength=10)
        return hits[past.rows.item] / np.bincount(past.rows.item, minlength=10)[past.rows.item]

    planted = ListFeature("whole_rate", "share of positives, later ones among them", whole_rate)
    assert leaking(random_log(), 20 * HOUR_MS, (*CATALOGUE, planted)) == ("whole_rate",)


def test_a_label_known_late_counts_late():
    log = random_log()
    now, late = Past(log).rate("all"), Past(random_log(2 * HOUR_MS)).rate("all")
    second = slice(SIZE, 2 * SIZE)
    assert now[second].max() > 0
    assert late[second].tolist() == [0.0] * SIZE


def test_a_rate_is_smoothed_towards_the_rate_of_all():
    log = random_log()
    rows = log.candidates
    row = len(rows) - 1
    before = (rows.time < rows.time[row]) & rows.judged
    same = before & (rows.item == rows.item[row])
    prior = rows.label[before].mean()
    expected = (rows.label[same].sum() + PRIOR_WEIGHT * prior) / (same.sum() + PRIOR_WEIGHT)
    assert Past(log).rate("item")[row] == pytest.approx(expected)


def test_what_is_not_judged_is_no_outcome():
    log = random_log()
    rows = log.candidates
    none = replace(log, candidates=replace(rows, judged=np.zeros(len(rows), dtype=bool)))
    assert set(Past(none).rate("item").tolist()) == {0.0}
    assert np.isnan(Past(none).since_hit("item")).all()


def test_social_proof_counts_acts_of_those_whom_the_reader_follows():
    log = random_log()
    follows = {
        (a, b) for a, b in zip(log.follows.follower.tolist(), log.follows.followee.tolist(), strict=True)
    }
    rows, acts = log.candidates, log.acts
    followed = np.unique(np.stack([log.follows.follower, log.follows.followee]), axis=1)
    log = replace(log, follows=Follows(followed[0], followed[1]))
    found = Past(log).acted("followees")
    for row in range(0, len(rows), 17):
        expected = sum(
            (rows.user[row], actor) in follows and author == rows.author[row] and time < rows.time[row]
            for actor, author, time in zip(acts.user, acts.author, acts.time, strict=True)
        )
        assert found[row] == expected


def test_what_a_log_has_nothing_to_compute_from_is_left_out():
    log = random_log()
    rows = log.candidates
    unknown = np.full(len(rows), -1)
    table = compute(RankingLog(replace(rows, author=unknown)))
    assert not any(name.startswith(("author", "acts", "follow")) for name in table.names)
    assert "item_rate" in table.names
    assert np.isnan(table.column("author_rate")).all()


def test_a_rank_is_the_share_of_the_other_rows_below():
    requests = np.array([0, 0, 0, 1, 1, 2])
    values = np.array([3.0, 1.0, np.nan, 2.0, 2.0, 9.0])
    ranks = rank_within(requests, values)
    np.testing.assert_allclose(ranks, [1.0, 0.0, np.nan, 0.5, 0.5, np.nan])


def test_every_feature_has_one_name_and_a_meaning():
    names = [feature.name for feature in CATALOGUE]
    assert len(set(names)) == len(names)
    assert all(feature.meaning for feature in CATALOGUE)


def test_the_page_of_list_features_is_what_the_catalogue_says():
    page = Path(__file__).parents[3] / "docs" / "list-features.md"
    assert page.read_text(encoding="utf-8") == render()
