"""What Airflow does overnight, by the same commands: features, materialization, training, the gate."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stack.closed_loop.pages import FIRST_MODEL
from stack.errors import UserError
from training.settings import TrainingSettings
from training.versions import opened


@dataclass(frozen=True)
class Night:
    """``trained`` is the version that the night made, ``champion`` the one after it, None if there is none.

    ``examples`` had all their labels; ``waiting`` have yet to get them, and were left out. ``refusal`` is
    what the gate said where it did not let the new one through.
    """

    day: int
    examples: int
    waiting: int
    trained: str | None
    champion: str | None
    refusal: str | None

    @property
    def sentence(self) -> str:
        """What came of it, for a person."""
        made = self.trained or "a model below the floors, which is not kept"
        verdict = f"not promoted: {self.refusal}" if self.refusal else "promoted."
        waiting = f" ({self.waiting:,} wait for their labels)"
        return f"Night {self.day}: {made}, of {self.examples:,} examples{waiting}; {verdict}"


def build(until_ms: int) -> None:
    """The offline features and examples up to then."""
    from stack.commands import features

    printed(features.build, until=_moment(until_ms))


def learn(day: int, until_ms: int, champion: str | None, announce: Callable[[str], None]) -> Night:
    """One night: the ``champion`` is another one afterwards only if the gate lets the new model through."""
    from stack.commands import features, train

    announce(f"night {day}: features")
    build(until_ms)
    announce(f"night {day}: materialization")
    printed(features.materialize, until=_moment(until_ms))
    announce(f"night {day}: training")
    result = printed(train.train, may_refuse=True)
    settings = TrainingSettings().mlflow
    if result["model"]:
        if champion is None:
            with opened(settings) as versions:
                versions.point(FIRST_MODEL, versions.resolve(settings.alias))
        champion = result["model"]
    return Night(
        day,
        examples=sum(result["rows"].values()),
        waiting=result["left_out_examples"],
        trained=result["model"] or result["challenger"],
        champion=champion,
        refusal=result["refusal"],
    )


def printed(command: Callable[..., None], may_refuse: bool = False, **options: Any) -> dict[str, Any]:
    """The JSON object that a command prints last; with ``may_refuse`` also where it then refuses.

    Raises:
        UserError: the command failed.
    """
    out = io.StringIO()
    try:
        with redirect_stdout(out), warnings.catch_warnings():
            command(**options, as_json=True)
    except UserError:
        if not (may_refuse and out.getvalue()):
            raise
    last: dict[str, Any] = json.loads(out.getvalue().strip().splitlines()[-1])
    return last


def _moment(until_ms: int) -> datetime:
    return datetime.fromtimestamp(until_ms / 1000, tz=UTC)
