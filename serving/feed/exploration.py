"""Exploration: a small, seeded share of the pages shows one item from below, with the chance that it had."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.feed.policy import Exploration
from serving.seeded import chances


@dataclass(frozen=True, slots=True)
class Explored:
    """The order of all items, and of each item of the page the chance that it stood at its slot [page].

    ``slot`` is the explored slot from 0; None where the page is as ranked.
    """

    order: NDArray[np.intp]
    propensities: NDArray[np.float64]
    slot: int | None = None


def explore(
    order: NDArray[np.intp], scored: int, page: int, policy: Exploration, request_id: str, salt: str
) -> Explored:
    """The page of the first ``page`` items of ``order``, explored or not as request id and salt decide.

    With the chance ``share`` one slot of the page's lower half (rounded up), each as likely, gets one of the
    next ``depth`` scored items below the page, each as likely; the item that stood there goes first below the
    page. Only the first ``scored`` items of ``order`` are scored: an unscored one is never drawn.
    """
    page = min(page, len(order))
    first, pool = page // 2, max(0, min(policy.depth, scored - page))
    slots = page - first
    propensities = np.ones(page)
    if not pool or not slots:
        return Explored(order, propensities)
    propensities[first:] = 1 - policy.share / slots
    whether, where, which = chances(salt, request_id, 3)
    if whether >= policy.share:
        return Explored(order, propensities)
    slot, drawn = first + int(where * slots), page + int(which * pool)
    explored = np.concatenate(
        (
            order[:slot],
            order[[drawn]],
            order[slot + 1 : page],
            order[[slot]],
            np.delete(order[page:], drawn - page),
        )
    )
    propensities[slot] = policy.share / (slots * pool)
    return Explored(explored, propensities, slot)
