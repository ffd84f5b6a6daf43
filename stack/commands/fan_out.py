"""``tideline fan-out``."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Annotated, get_args

import typer

if TYPE_CHECKING:
    from ingestion.events import AuthorTierChanged, Event, FanOutChanged
    from stack.settings import StackSettings

app = typer.Typer(help="Who is pushed, throttled and pulled, while the job runs.", no_args_is_help=True)
Threshold = Annotated[int | None, typer.Option(min=0, help="Followers; unset stays as it is.")]


@app.command()
def show() -> None:
    """The thresholds in force and the authors who are excepted from them."""
    from stack.settings import StackSettings

    settings = StackSettings()
    tiers, authors = _changes(settings)
    start = settings.timelines
    where = "as the job began" if tiers is None else f"as changed by {tiers.event_id}"
    now = tiers or start
    typer.echo(f"below {now.push_below:,} followers   pushed at once")
    typer.echo(f"from  {now.pull_above:,} followers   pulled at read")
    typer.echo(f"between                {now.throttled_per_second:,} deliveries a second for all ({where})")
    for author_id, change in sorted(authors.items()):
        if change.tier is not None:
            typer.echo(f"author {author_id}: {change.tier}")


@app.command("set")
def set_tiers(
    push_below: Threshold = None,
    pull_above: Threshold = None,
    per_second: Annotated[
        int | None, typer.Option(min=1, help="Deliveries a second for throttled authors together.")
    ] = None,
) -> None:
    """Change the thresholds and the pace of the running job; the job needs no restart."""
    from ingestion.events import FanOutChanged
    from stack.errors import UserError
    from stack.settings import StackSettings

    settings = StackSettings()
    tiers, _ = _changes(settings)
    now = tiers or settings.timelines
    moment = time.time_ns() // 1_000_000
    event = FanOutChanged(
        event_id=f"fan-out:{uuid.uuid4()}",
        ts=max(moment, tiers.ts + 1 if tiers else 0),
        push_below=now.push_below if push_below is None else push_below,
        pull_above=now.pull_above if pull_above is None else pull_above,
        throttled_per_second=now.throttled_per_second if per_second is None else per_second,
    )
    if event.pull_above < event.push_below:
        raise UserError(
            f"Authors cannot be pulled from {event.pull_above} followers on and pushed below "
            f"{event.push_below}: give both --push-below and --pull-above."
        )
    _publish(settings, event)
    typer.echo(
        f"Pushed below {event.push_below:,} followers, pulled from {event.pull_above:,} on, "
        f"{event.throttled_per_second:,} deliveries a second between."
    )


@app.command()
def author(
    author_id: Annotated[int, typer.Argument(min=0, help="The author.")],
    tier: Annotated[str, typer.Argument(help="push, throttle, pull; auto follows the thresholds again.")],
) -> None:
    """Except one author from the thresholds."""
    from ingestion.events import AuthorTierChanged, Tier
    from stack.errors import UserError
    from stack.settings import StackSettings

    tiers = {"auto": None, **{name: name for name in get_args(Tier)}}
    if tier not in tiers:
        raise UserError(f"There is no tier {tier!r}; the tiers are {', '.join(tiers)}.")
    settings = StackSettings()
    _publish(
        settings,
        AuthorTierChanged(
            event_id=f"author-tier:{uuid.uuid4()}",
            ts=time.time_ns() // 1_000_000,
            author_id=author_id,
            tier=tiers[tier],
        ),
    )
    typer.echo(f"Author {author_id}: {tier}.")


def _changes(settings: StackSettings) -> tuple[FanOutChanged | None, dict[int, AuthorTierChanged]]:
    """The last change of the thresholds, and of each author's tier, on the log."""
    from ingestion.events import AuthorTierChanged, FanOutChanged
    from ingestion.topics import SETTINGS
    from stack.verify.log import read_log

    tiers: FanOutChanged | None = None
    authors: dict[int, AuthorTierChanged] = {}
    for event in read_log(settings.kafka, settings.namespace, (SETTINGS,), lambda _done, _total: None):
        match event:
            case FanOutChanged() if tiers is None or event.order > tiers.order:
                tiers = event
            case AuthorTierChanged():
                authors[event.author_id] = event
    return tiers, authors


def _publish(settings: StackSettings, event: Event) -> None:
    from ingestion.publisher import KafkaPublisher

    publisher = KafkaPublisher(settings.kafka, settings.namespace)
    try:
        publisher.publish(event).result(30)
    finally:
        publisher.close()
