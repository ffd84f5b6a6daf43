"""``tideline replay --from``: projections built anew beside those that are read."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from stack.projections.replay import Outcome

BEGINNING = "beginning"


def rebuild_beside(
    moment: str, names: Sequence[str], viewers: int | None, unlink_per_second: float, as_json: bool
) -> None:
    """Build, compare, swap; print what was found.

    Raises:
        UserError: a name or the moment is none, or a step failed.
    """
    from confluent_kafka import KafkaException
    from redis.exceptions import RedisError
    from rich.console import Console

    from pipelines.settings import StreamSettings
    from stack.addresses import Choices
    from stack.context import job_control, running_plan
    from stack.errors import UserError
    from stack.moments import moment_ms
    from stack.projections.replay import ProjectionReplay, Wish
    from stack.settings import StackSettings
    from stack.verify.feeds import FeedReadError

    jobs = chosen(names)
    from_ms = None if moment == BEGINNING else moment_ms(moment, int(time.time() * 1000))
    stack = StackSettings()
    job_control(stack)
    choices = Choices(
        stack.namespace, stack.security.dev_login, stack.timelines.push_below, stack.timelines.pull_above
    )
    replay = ProjectionReplay(running_plan(stack), choices, StreamSettings(), Console(stderr=True))
    try:
        outcome = replay.run(Wish(jobs, from_ms, viewers, unlink_per_second))
    except (OSError, RedisError, KafkaException, FeedReadError) as error:
        raise UserError(
            f"The replay stopped ({error}): run it again, it begins with what is served."
        ) from error
    if as_json:
        typer.echo(json.dumps(asdict(outcome)))
    else:
        _print(outcome)


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """The projections of these names, or all; ``UserError`` for another name."""
    from stack.errors import UserError
    from timelines.settings import PROJECTIONS

    for name in names:
        if name not in PROJECTIONS:
            raise UserError(f"There is no projection {name!r}; the projections are {', '.join(PROJECTIONS)}.")
    return tuple(name for name in PROJECTIONS if not names or name in names)


def _print(outcome: Outcome) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("keys", "before", "now", "compared", "different", box=box.SIMPLE)
    for kind in outcome.kinds:
        counts = (kind.before, kind.after, kind.sampled, kind.different)
        table.add_row(kind.kind, *(f"{count:,}" for count in counts))
    Console().print(table)
    typer.echo(
        f"{', '.join(outcome.jobs)} served from {outcome.projection} after {outcome.seconds} s; "
        f"{outcome.unlinked:,} keys of before taken away."
    )
