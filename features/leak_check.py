"""Finds features that see what they may not: their row's own label, or anything later than the row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace

import numpy as np

from features.list_features import CATALOGUE, ListFeature
from features.list_table import compute
from features.ranking_log import NEVER, Acts, RankingLog, Texts


def leaking(log: RankingLog, moment: int, catalogue: Iterable[ListFeature] = CATALOGUE) -> tuple[str, ...]:
    """The features of which a row at or before ``moment`` (ms UTC) changes with what is later, by name.

    The same rows are computed again from a log without later rows, acts, follows and texts, where every label
    and response that was not yet known at the moment is the opposite, and no follow is taken back any more.
    """
    entries = tuple(catalogue)
    past = log.candidates.time <= moment
    whole, cut = compute(log, entries), compute(_cut(log, moment), entries)
    return tuple(
        name
        for name in dict.fromkeys((*whole.names, *cut.names))
        if not np.array_equal(whole.column(name)[past], cut.column(name), equal_nan=True)
    )


def _cut(log: RankingLog, moment: int) -> RankingLog:
    rows = log.candidates.where(log.candidates.time <= moment)
    unknown = rows.known >= moment
    label = np.where(unknown, 1.0 - rows.label, rows.label)
    value = np.where(unknown, rows.value + 1.0, rows.value)
    responses = {name: np.where(unknown, 1.0 - values, values) for name, values in rows.responses.items()}
    kept = log.acts.time < moment
    acts = Acts(*(getattr(log.acts, column.name)[kept] for column in fields(Acts)))
    follows = log.follows.where(log.follows.since < moment)
    follows = replace(follows, until=np.where(follows.until < moment, follows.until, NEVER))
    # An item is read when it is shown: its own words are no secret at its own moment.
    written = log.texts.time <= moment
    texts = Texts(*(getattr(log.texts, column.name)[written] for column in fields(Texts)))
    rows = replace(rows, label=label, value=value, responses=responses)
    return replace(log, candidates=rows, acts=acts, follows=follows, texts=texts)
