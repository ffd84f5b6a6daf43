"""What trends are made of: panes, windows over them, and when a term is listed."""

from __future__ import annotations

from dataclasses import dataclass

from timelines.durations import MINUTE_MS


@dataclass(frozen=True)
class Window:
    """A window of ``panes`` panes; all are counted in panes.

    ``beat``: how often the list may change. ``slide``: how often analysts get rows, a multiple of the beat.
    ``half_life`` of a term's history: what is that much older counts half.
    """

    name: str
    panes: int
    beat: int
    slide: int
    half_life: int


WINDOWS = (
    Window("1h", 60, 1, 5, 24 * 60),
    Window("6h", 6 * 60, 5, 30, 3 * 24 * 60),
    Window("24h", 24 * 60, 15, 60, 7 * 24 * 60),
)


@dataclass(frozen=True)
class TrendPlan:
    """How trends are counted and listed; the defaults are those of the job.

    Attributes:
        pane_ms: what is counted once, as a whole; a page may change after each.
        windows: shortest first.
        late_ms: how much older than the newest of its partition a tweet may be for a pane to wait for it.
        idle_ms: after how long without records a partition is not waited for.
        min_authors: distinct authors that a term needs.
        top: length of a list.
        enter, leave: a term enters a list at the one score and leaves it below the other.
        margin: by which share a score must be larger for its term to pass a term listed above it.
        max_pairs: how many (place, term, author) are remembered; beyond it the rarest terms are forgotten.
        max_terms: how many (place, term) keep a history once they are in no window.
        languages: whether each language has lists, as the place ``lang:xx``.
    """

    pane_ms: int = MINUTE_MS
    windows: tuple[Window, ...] = WINDOWS
    late_ms: int = 30_000
    idle_ms: int = 10_000
    min_authors: int = 3
    top: int = 50
    enter: float = 4.5
    leave: float = 2.0
    margin: float = 0.25
    max_pairs: int = 2_000_000
    max_terms: int = 400_000
    languages: bool = False

    @property
    def longest(self) -> int:
        """Panes of the longest window."""
        return max(window.panes for window in self.windows)
