"""Scores of reader sets, such as follows and likes: when a member last changed, and whether it stands."""

from __future__ import annotations


def edge_score(ts_ms: int, active: bool) -> int:
    """Order of the changes of one edge: the later wins, at the same millisecond the active one."""
    return ts_ms * 2 + int(active)


def edge_ts(score: float) -> int:
    """Since when an edge of this score is as it is, milliseconds UTC."""
    return int(score) // 2


def stands(score: float | None) -> bool:
    """Whether an edge of this score is active; one that there never was (None) is not."""
    return score is not None and bool(int(score) & 1)
