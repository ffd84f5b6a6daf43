"""The mixed model: what it learns from labels, from responses and from what is known of a row, and when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from features.mixed_model import EVERY_MS, LEAST_ROWS, mixed_odds
from features.ranking_log import Candidates
from features.running import Floats

ROWS = 600
AUTHORS = np.arange(ROWS) % 6
NOTHING = np.zeros((ROWS, 1))


def rows(label: Floats) -> Candidates:
    """Single rows of six authors in turn, ten an hour, shown to three readers."""
    count = len(label)
    return Candidates.shown_together(
        request=np.arange(count),
        time=np.arange(count) * EVERY_MS // 10,
        user=np.arange(count) // 6 % 3,
        author=AUTHORS[:count],
        label=label.astype(float),
        later=np.zeros(count, dtype=bool),
    )


def chance(shares: Floats) -> Floats:
    """0 or 1 with the chance given."""
    return (np.random.default_rng(5).random(len(shares)) < shares).astype(np.float64)


def odds_by_author(odds: Floats) -> Floats:
    """As of the last row of each."""
    return np.array([odds[author == AUTHORS][-1] for author in range(6)])


def test_an_author_engaged_with_more_often_has_the_higher_odds() -> None:
    log = rows(chance(np.where(AUTHORS == 2, 0.8, 0.2)))
    odds = odds_by_author(mixed_odds(log, {"author": log.author}, NOTHING, [log.label]))
    assert odds.argmax() == 2
    assert 0.6 < 1 / (1 + np.exp(-odds[2])) < 0.95


def test_what_is_opened_is_more_likely_engaged_with_where_openings_go_with_engagements() -> None:
    # Authors 0 to 2 are engaged with alike, and so are 3 to 5; of these 5 is opened, too.
    engaged = chance(np.where(AUTHORS < 3, 0.6, 0.1))
    opened = np.maximum(engaged, chance(np.where(AUTHORS == 5, 0.9, 0.0)))
    log = rows(np.where((AUTHORS >= 3) & (np.arange(ROWS) > 90), 0.0, engaged))
    alone = odds_by_author(mixed_odds(log, {"author": log.author}, NOTHING, [log.label]))
    both = odds_by_author(mixed_odds(log, {"author": log.author}, NOTHING, [log.label, opened]))
    assert both[5] - both[3:5].mean() > alone[5] - alone[3:5].mean() + 0.5


def test_what_is_known_of_a_row_speaks_for_one_of_a_new_author() -> None:
    known = np.random.default_rng(7).normal(size=(ROWS, 1))
    log = rows(chance(1 / (1 + np.exp(1 - 2 * known[:, 0]))))
    authors = np.where(np.arange(ROWS) < ROWS - 10, log.author, 99)
    odds = mixed_odds(log, {"author": authors}, known, [log.label])[-10:]
    assert np.corrcoef(odds, known[-10:, 0])[0, 1] > 0.99


def test_before_enough_labels_are_known_there_is_no_answer() -> None:
    log = rows(chance(np.full(ROWS, 0.3)))
    odds = mixed_odds(log, {"author": log.author}, NOTHING, [log.label])
    assert np.isnan(odds[:LEAST_ROWS]).all()
    assert np.isfinite(odds[LEAST_ROWS + 10 :]).all()
    few = log.where(np.arange(ROWS) < LEAST_ROWS - 1)
    assert np.isnan(mixed_odds(few, {"author": few.author}, NOTHING[: len(few)], [few.label])).all()


@pytest.mark.parametrize("known_ms", [0, 20 * EVERY_MS])
def test_a_label_counts_only_once_it_is_known_and_only_if_judged(known_ms: int) -> None:
    log = rows(chance(np.full(ROWS, 0.3)))
    log = replace(log, known=log.time + known_ms)
    moment = 40 * EVERY_MS
    later, unjudged = log.known >= moment, np.arange(ROWS) % 7 == 0
    log = replace(log, judged=~unjudged)
    asked = log.time <= moment

    def odds(flipped: NDArray[np.bool_]) -> Floats:
        label = np.where(flipped, 1 - log.label, log.label)
        return mixed_odds(log, {"author": log.author}, NOTHING, [label])[asked]

    as_it_is = odds(np.zeros(ROWS, dtype=bool))
    np.testing.assert_array_equal(odds(later | unjudged), as_it_is)
    assert not np.array_equal(odds(~later & (AUTHORS == 1)), as_it_is, equal_nan=True)


def test_a_row_of_long_ago_costs_no_hour_by_hour_walk() -> None:
    """Hours without rows are passed over: of five decades there would be four hundred thousand."""
    log = rows(chance(np.where(AUTHORS < 3, 0.7, 0.1)))
    first = np.arange(ROWS) == 0
    moved = replace(log, counted=np.where(first, log.counted, log.counted + 53 * 365 * 24 * EVERY_MS))
    moved = replace(moved, known=np.where(first, log.known, log.known + 53 * 365 * 24 * EVERY_MS))
    asked = slice(ROWS // 2, None)
    odds = [mixed_odds(each, {"author": log.author}, NOTHING, [log.label])[asked] for each in (log, moved)]
    np.testing.assert_array_equal(*odds)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_not_learned_from(value: float) -> None:
    log = rows(chance(np.full(ROWS, 0.3)))
    responses, known = log.label.copy(), NOTHING.copy()
    responses[7] = known[9] = value
    for each, what in ((responses, NOTHING), (log.label, known)):
        with pytest.raises(ValueError, match="finite"):
            mixed_odds(log, {"author": log.author}, what, [each])
