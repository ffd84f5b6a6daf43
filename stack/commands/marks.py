"""``tideline marks``."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ingestion.events import MarkChanged
    from pipelines.settings import StreamSettings

app = typer.Typer(help="Tweets and accounts taken for spam or fake engagement.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


@app.command("list")
def list_marks(
    everything: Annotated[bool, typer.Option("--all", help="Those lifted, too.")] = False,
    as_json: Json = False,
) -> None:
    """What is limited or quarantined, why, and who said so; the newest last."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from pipelines.settings import StreamSettings
    from stack.moments import as_text

    marks = [mark for mark in _marks(StreamSettings()) if everything or mark.verdict != "allow"]
    if as_json:
        typer.echo(json.dumps([_as_json(mark) for mark in marks]))
        return
    if not marks:
        typer.echo("Nothing is marked.")
        return
    table = Table("target", "verdict", "reason", "since", "by", box=box.SIMPLE)
    for mark in marks:
        who = "a person" if mark.by_person else "a rule"
        table.add_row(f"{mark.target} {mark.target_id}", mark.verdict, mark.reason, as_text(mark.ts), who)
    Console().print(table)


@app.command()
def lift(
    target: Annotated[str, typer.Argument(help="tweet or account.")],
    target_id: Annotated[int, typer.Argument(min=0, help="Its id.")],
    reason: Annotated[str, typer.Option(help="Why; it stays in the log.")] = "lifted",
) -> None:
    """Allow a marked tweet or account again; no rule marks it anew."""
    from ingestion.events import MarkChanged
    from ingestion.publisher import KafkaPublisher
    from ingestion.stored import mark_of
    from pipelines.settings import StreamSettings
    from stack.errors import UserError
    from timelines import functions, marks
    from timelines.client import open_client
    from timelines.keys import Keyspace

    if target not in ("tweet", "account"):
        raise UserError(f"A {target} is never marked: say tweet or account.")
    settings = StreamSettings()
    found = [m for m in _marks(settings) if (m.target, m.target_id) == (target, target_id)]
    before = found[0] if found else None
    if before is None or before.verdict == "allow":
        raise UserError(f"The {target} {target_id} is not marked.")
    event = MarkChanged(
        event_id=f"mark:{uuid.uuid4()}",
        ts=max(time.time_ns() // 1_000_000, before.ts + 1),
        target=before.target,
        target_id=target_id,
        verdict="allow",
        reason=reason,
        by_person=True,
    )
    publisher = KafkaPublisher(settings.kafka, settings.namespace)
    try:
        publisher.publish(event).result(30)
    finally:
        publisher.close()
    client = open_client(settings.redis, timeout_s=10, connect_timeout_s=2, retries=0)
    with client:
        functions.load(client)
        pipe = client.pipeline(transaction=False)
        keys = Keyspace.of(settings)
        marks.put_mark(pipe, keys, target, target_id, mark_of(event))
        pipe.execute()
    typer.echo(f"The {target} {target_id} is allowed; it was under {before.verdict} for {before.reason}.")


def _marks(settings: StreamSettings) -> list[MarkChanged]:
    """The mark in force of every target that the log names, by time."""
    from ingestion.events import MarkChanged
    from ingestion.topics import MARKS
    from stack.verify.log import read_log

    last: dict[tuple[str, int], MarkChanged] = {}
    for event in read_log(settings.kafka, settings.namespace, (MARKS,), lambda *_: None):
        if isinstance(event, MarkChanged):
            key = (event.target, event.target_id)
            if key not in last or event.rank > last[key].rank:
                last[key] = event
    return sorted(last.values(), key=lambda mark: mark.ts)


def _as_json(mark: MarkChanged) -> dict[str, Any]:
    return {
        "target": mark.target,
        "target_id": mark.target_id,
        "verdict": mark.verdict,
        "reason": mark.reason,
        "ts": mark.ts,
        "by_person": mark.by_person,
    }
