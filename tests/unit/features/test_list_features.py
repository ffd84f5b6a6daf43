"""Features of lists: what they say of a small log, and that none of them sees what is later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.leak_check import leaking
from features.list_catalogue import render
from features.list_features import CATALOGUE, FOLLOWED, ListFeature
from features.list_table import compute, rank_within
from features.past import PRIOR_WEIGHT, Past
from features.ranking_log import NEVER, RESPONSES, VERBS, Acts, Candidates, Follows, RankingLog, Texts
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
        responses={response: (rng.random(count) < 0.4).astype(float) for response in RESPONSES},
    )
    acts = Acts(
        time=rng.integers(0, LISTS, 300) * HOUR_MS,
        user=rng.integers(0, 8, 300),
        author=rng.integers(0, 8, 300),
        item=rng.integers(0, 10, 300),
        verb=rng.integers(0, len(VERBS), 300),
    )
    # Some edges are made, taken back and made again in the course of it.
    follows = Follows.of_changes(
        rng.integers(-5, LISTS, 200) * HOUR_MS,
        rng.integers(0, 8, 200),
        rng.integers(0, 8, 200),
        rng.random(200) < 0.6,
    )
    written = np.append(np.zeros(10, dtype=np.int64), np.sort(rng.integers(1, LISTS * HOUR_MS, TEXTS)))
    item = np.repeat(np.arange(10 + TEXTS), WORDS_EACH)
    texts = Texts(
        time=np.repeat(written, WORDS_EACH),
        author=np.repeat(rng.integers(0, 8, 10 + TEXTS), WORDS_EACH),
        item=item,
        word=rng.integers(0, 80, len(item)),
    )
    return RankingLog(rows, acts, follows, texts)


def without_responses(log: RankingLog) -> RankingLog:
    return replace(log, candidates=replace(log.candidates, responses={}))


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


def test_a_follow_of_later_is_found_as_a_leak():
    def pairs(past: Past, edges: np.ndarray) -> np.ndarray:
        follows = past.log.follows.where(edges)
        return np.isin(past.rows.user * 8 + past.rows.author, follows.follower * 8 + follows.followee)

    def follows_ever(past: Past) -> np.ndarray:
        return pairs(past, past.log.follows.since < NEVER)

    def stays_followed(past: Past) -> np.ndarray:
        return pairs(past, past.log.follows.until == NEVER)

    for name, fold in (("follows_ever", follows_ever), ("stays_followed", stays_followed)):
        planted = ListFeature(name, "the follow graph as it will be", fold)
        assert leaking(random_log(), 20 * HOUR_MS, (*CATALOGUE, planted)) == (name,)


def test_a_response_is_an_outcome_of_its_own():
    log = random_log()
    rows = replace(log.candidates, responses={"opened": log.candidates.label})
    past, nobody = Past(replace(log, candidates=rows)), Past(without_responses(log))
    np.testing.assert_array_equal(past.response_rate("author", "opened"), past.rate("author"))
    np.testing.assert_array_equal(past.response_effect("all", "opened"), past.effect("all"))
    assert np.isnan(past.response_rate("author", "dwelt")).all()
    np.testing.assert_array_equal(nobody.rate("author"), past.rate("author"))


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


def standing(follows: Follows, moment: int) -> dict[int, set[int]]:
    """Whom each account follows just then."""
    edges = follows.where((follows.since < moment) & (moment <= follows.until))
    found: dict[int, set[int]] = {account: set() for account in range(8)}
    for follower, followee in zip(edges.follower.tolist(), edges.followee.tolist(), strict=True):
        found[follower].add(followee)
    return found


@pytest.mark.parametrize("shift_ms", [0, HOUR_MS // 2])
def test_the_follow_graph_is_that_of_the_rows_moment(shift_ms):
    """Edges change at the moments of rows, and between them."""
    log = random_log()
    moved = (
        log.follows.since + shift_ms,
        np.where(log.follows.until == NEVER, NEVER, log.follows.until + shift_ms),
    )
    log = replace(log, follows=Follows(log.follows.follower, log.follows.followee, *moved))
    past, rows = Past(log), log.candidates
    found = {name: past.followed(name) for name in FOLLOWED}
    for row in range(len(rows)):
        graph = standing(log.follows, rows.time[row])
        reader, author = rows.user[row], rows.author[row]
        of_author = {account for account, followed in graph.items() if author in followed}
        assert found["reader_follows"][row] == len(graph[reader])
        assert found["author_followers"][row] == len(of_author)
        assert found["follows_back"][row] == (reader in graph[author])
        assert found["shared_followees"][row] == len(graph[reader] & of_author)


def test_edges_without_times_stand_all_along():
    log = random_log()
    edges = np.unique(np.stack([log.follows.follower, log.follows.followee]), axis=1)
    timed = Follows(*edges, np.full(len(edges[0]), -1), np.full(len(edges[0]), NEVER))
    always, since_before = (Past(replace(log, follows=kind)) for kind in (Follows.always(*edges), timed))
    for name in FOLLOWED:
        np.testing.assert_array_equal(always.followed(name), since_before.followed(name))
        assert len(np.unique(always.followed(name))) > 1


def test_a_follow_lasts_from_one_change_to_the_next():
    changes = [(30, 1, 2, False), (10, 1, 2, True), (20, 1, 2, True), (50, 1, 2, True), (40, 2, 1, False)]
    changes += [(50, 1, 2, False), (60, 3, 1, True), (60, 3, 1, True)]
    time, follower, followee, active = (np.array(column) for column in zip(*changes, strict=True))
    follows = Follows.of_changes(time, follower, followee, active)
    edges = (follows.follower, follows.followee, follows.since, follows.until)
    assert list(zip(*(column.tolist() for column in edges), strict=True)) == [
        (1, 2, 10, 20),
        (1, 2, 20, 30),
        (1, 2, 50, NEVER),
        (3, 1, 60, NEVER),
    ]


def test_social_proof_counts_acts_of_those_whom_the_reader_followed_then():
    log = random_log()
    rows, acts = log.candidates, log.acts
    found = Past(log).acted("followees")
    assert found.max() > 0
    for row in range(0, len(rows), 17):
        expected = sum(
            author == rows.author[row]
            and time < rows.time[row]
            and actor in standing(log.follows, time)[rows.user[row]]
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
