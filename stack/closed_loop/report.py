"""What a loop has shown: figures per day and arm, and how far the champion leads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from stack.closed_loop.night import Night
from stack.closed_loop.outcomes import DayOfArm, Figure, adjusted_lead, by_day, lead, paired_lead
from stack.closed_loop.plan import CHAMPION, CHRONOLOGICAL, FIRST
from stack.closed_loop.run import Loop


@dataclass(frozen=True)
class Lead:
    """How far the champion leads an arm per session, over ``days``.

    Attributes:
        engaged: other readers' engagements taken off those of the champion's, as logged.
        adjusted: the same, less what these readers did on the days on which both arms had the same order.
        worth: the same of the formula's weighted sum of the labels.
        expected: what the champion's pages promise beyond the arm's, made for the same readers at the same
            moments, by the planted chances.
    """

    over: str
    days: Sequence[int]
    engaged: Figure
    adjusted: Figure
    worth: Figure
    expected: Figure


@dataclass(frozen=True)
class Report:
    """``problem`` says why the loop has not shown that it closes; None where it has.

    ``control`` compares the champion's arm with the first model's on the days on which both had that model.
    """

    days: Sequence[DayOfArm]
    nights: Sequence[Night]
    leads: Sequence[Lead]
    control: Lead | None
    problem: str | None

    def plain(self) -> dict[str, object]:
        """Of types that JSON has; what is not known is null."""
        found: dict[str, object] = _plain(dataclasses.asdict(self))  # type: ignore[assignment]
        return found


def report(loop: Loop) -> Report:
    """The figures, and whether the champion leads both other arms by more than chance."""
    rows, seed = loop.sessions, loop.plan.seed
    champions = {night.day + 1: night.champion for night in loop.nights}
    first = next((champion for champion in champions.values() if champion), None)
    ranked = [day for day, champion in champions.items() if champion]
    later = [day for day in ranked if champions[day] != first]
    alike = [day for day in ranked if champions[day] == first]
    no_model = [day for day in rows["day"].unique() if day not in ranked]

    def led(over: str, days: Sequence[int], same: Sequence[int]) -> Lead:
        part, before = rows[rows["day"].isin(days)], rows[rows["day"].isin(same)]
        return Lead(
            over,
            days,
            lead(part, CHAMPION, over, "engaged", seed),
            adjusted_lead(part, before, CHAMPION, over, "engaged", seed),
            lead(part, CHAMPION, over, "worth", seed),
            paired_lead(part, CHAMPION, over, seed),
        )

    # Without a second model the first one is still to be compared with the order of time.
    leads = []
    if ranked:
        leads = [led(CHRONOLOGICAL, later or ranked, no_model), led(FIRST, later, [*no_model, *alike])]
    control = led(FIRST, alike, no_model) if alike else None
    return Report(by_day(rows, seed), loop.nights, leads, control, problem(leads))


def problem(leads: Sequence[Lead]) -> str | None:
    """Why the leads do not show that the loop closes, in one sentence."""
    if not leads:
        return "No model was promoted, so that every feed was chronological."
    inside = [
        f"the lead over {of.over} ({_signed(of.expected)})" for of in leads if not of.expected.above_zero
    ]
    if any(not of.days for of in leads):
        return (
            "No second model came through the gate with a day left to serve: there is no lead over the first."
        )
    chronological = leads[0]
    if not chronological.adjusted.above_zero:
        inside.append(f"the engagements beyond {CHRONOLOGICAL}'s ({_signed(chronological.adjusted)})")
    if inside:
        return f"{' and '.join(inside)} may be chance.".capitalize()
    return None


def day_table(found: Report) -> Table:
    """Rows of days and arms."""
    shown = Table("day", "arm", "readers", "sessions", "engagements", "worth", title="Per session")
    for row in found.days:
        counts = map(str, (row.day, row.arm, row.readers, row.sessions))
        shown.add_row(*counts, _between(row.engaged), _between(row.worth))
    return shown


def lead_table(found: Report) -> Table:
    """The champion's leads, and what the days without one say."""
    titles = ("engagements", "adjusted", "worth", "expected, paired")
    shown = Table("over", "days", *titles, title="The champion's lead per session")
    alike = [("the same model", found.control)] if found.control else []
    for over, of in [*((of.over, of) for of in found.leads), *alike]:
        days = ", ".join(map(str, of.days)) or "none"
        figures = (of.engaged, of.adjusted, of.worth, of.expected)
        shown.add_row(over, days, *(_signed(figure, "\n") for figure in figures))
    return shown


def _between(figure: Figure) -> str:
    return f"{figure.value:.2f}, {figure.low:.2f} to {figure.high:.2f}"


def _signed(figure: Figure, between: str = ", ") -> str:
    return f"{figure.value:+.2f}{between}{figure.low:+.2f} to {figure.high:+.2f}"


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
