"""What the feed gives back to the HTTP layer: the page as values, before it becomes JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from serving.feed.query import Candidate
from serving.pipeline.reports import StageReport
from serving.shapes import Reason, Rung


@dataclass(frozen=True)
class Answer:
    """One page: ``first_position`` is the place of its first item in the whole scrolling.

    ``places_by_time``: where each appearance of a ranking would stand in the newest-first order.
    """

    request_id: str
    rung: Rung
    reason: Reason | None
    model: str | None
    items: Sequence[Candidate]
    first_position: int
    next_cursor: str | None
    candidates: int
    as_of_ms: int
    reports: Sequence[StageReport]
    removed: Mapping[str, int] = field(default_factory=dict)
    places_by_time: Mapping[int, int] = field(default_factory=dict)
