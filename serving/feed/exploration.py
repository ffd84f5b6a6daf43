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


@dataclass(frozen=True, slots=True)
class Contest:
    """The items between which chance decided: that ranked at ``slot``, and that at ``below`` below the page.

    Both places are from 0. Where the page is ``explored``, the item from below stands at the slot.
    """

    slot: int
    below: int
    explored: bool


def contest(scored: int, page: int, policy: Exploration, request_id: str, salt: str) -> Contest | None:
    """What a request draws, whether or not it explores; None where nothing scored is left below the page."""
    first, pool = page // 2, _pool(scored, page, policy)
    if not pool or first == page:
        return None
    whether, where, which = chances(salt, request_id, 3)
    return Contest(first + int(where * (page - first)), int(which * pool), whether < policy.share)


def explore(
    order: NDArray[np.intp], scored: int, page: int, policy: Exploration, request_id: str, salt: str
) -> Explored:
    """The page of the first ``page`` items of ``order``, explored or not as request id and salt decide.

    With the chance ``share`` one slot of the page's lower half (rounded up), each as likely, gets one of the
    next ``depth`` scored items below the page, each as likely; the item that stood there goes first below the
    page. Only the first ``scored`` items of ``order`` are scored: an unscored one is never drawn.
    """
    page = min(page, len(order))
    propensities = np.ones(page)
    drawn = contest(scored, page, policy, request_id, salt)
    if drawn is None:
        return Explored(order, propensities)
    slots = page - page // 2
    propensities[page // 2 :] = 1 - policy.share / slots
    if not drawn.explored:
        return Explored(order, propensities)
    slot, below = drawn.slot, page + drawn.below
    explored = np.concatenate(
        (
            order[:slot],
            order[[below]],
            order[slot + 1 : page],
            order[[slot]],
            np.delete(order[page:], drawn.below),
        )
    )
    propensities[slot] = policy.share / (slots * _pool(scored, page, policy))
    return Explored(explored, propensities, slot)


def _pool(scored: int, page: int, policy: Exploration) -> int:
    return max(0, min(policy.depth, scored - page))
