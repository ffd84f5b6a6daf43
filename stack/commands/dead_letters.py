"""``tideline dead-letters``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ingestion.dead_letters import Letter
    from ingestion.redrive import Outcome
    from stack.settings import StackSettings

app = typer.Typer(help="Records that the stream jobs could not use.", no_args_is_help=True)
TopicName = Annotated[str | None, typer.Option("--topic", help="Only records of this topic.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Only letters whose reason holds this text.")]
Since = Annotated[
    str | None, typer.Option("--since", help="From this moment on: 2026-11-21T14:00, 14:00, 2h.")
]
Until = Annotated[str | None, typer.Option("--until", help="Before this moment.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
SHOWN_BYTES = 2000


@app.command("list")
def list_letters(
    topic: TopicName = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--all", help="Those put back already, too.")] = False,
    as_json: Json = False,
) -> None:
    """The letters that wait, oldest first; a record that several jobs refused is one letter."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from stack.moments import as_text
    from stack.settings import StackSettings

    letters = [
        letter
        for letter in _chosen(StackSettings(), topic, reason, since, until)
        if everything or letter.is_open
    ]
    if as_json:
        typer.echo(json.dumps([_as_json(letter) for letter in letters]))
        return
    if not letters:
        typer.echo("No dead letters.")
        return
    table = Table("letter", "first written", "attempts", "state", "bytes", "reason", box=box.SIMPLE)
    for letter in letters:
        table.add_row(
            letter.letter_id,
            as_text(letter.ts),
            str(letter.attempts),
            "open" if letter.is_open else "put back",
            f"{len(letter.letter.value):,}",
            "; ".join(letter.reasons),
        )
    Console().print(table)


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="LETTER", help="topic:partition:offset, as listed.")],
    as_json: Json = False,
) -> None:
    """One letter with the record's bytes."""
    from stack.moments import as_text
    from stack.settings import StackSettings

    (letter,) = _named(_chosen(StackSettings()), [letter_id])
    if as_json:
        typer.echo(json.dumps(_as_json(letter)))
        return
    state = (
        "open" if letter.redrive is None or letter.is_open else f"put back at offset {letter.redrive.offset}"
    )
    lines = {
        "letter": letter.letter_id,
        "first written": as_text(letter.ts),
        "reason": "; ".join(letter.reasons),
        "attempts": letter.attempts
        if letter.attempts == 1
        else f"{letter.attempts}, the first as {letter.first}",
        "state": state,
        "bytes": len(letter.letter.value),
    }
    for name, value in lines.items():
        typer.echo(f"{name:<14} {value}")
    typer.echo(letter.letter.value[:SHOWN_BYTES].decode("utf-8", "backslashreplace"))


@app.command()
def redrive(
    letter_ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LETTER]...", help="Letters as listed; all that the options leave without it."
        ),
    ] = None,
    topic: TopicName = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Put letters back: the record's own bytes and key, onto its own partition. Each goes back once.

    One that fails again comes back as a letter with its count of attempts. Exits 1 when one is refused.
    """
    from ingestion.redrive import Redriver
    from stack.settings import StackSettings

    settings = StackSettings()
    with _one_at_a_time(settings):
        letters = _chosen(settings, topic, reason, since, until)
        if letter_ids:
            letters = _named(letters, letter_ids)
        waiting = [letter for letter in letters if letter.is_open]
        outcomes = _put_back(Redriver(settings.kafka, settings.namespace), waiting)
    refused = [outcome for outcome in outcomes if outcome.refused]
    figures = {
        "put_back": len(outcomes) - len(refused),
        "refused": len(refused),
        "before": len(letters) - len(waiting),
    }
    if as_json:
        typer.echo(json.dumps({**figures, "letters": [_outcome_as_json(outcome) for outcome in outcomes]}))
    else:
        for outcome in refused:
            typer.echo(f"{outcome.letter_id} was not put back: {outcome.refused}.", err=True)
        before = f" {figures['before']} had been put back before." if figures["before"] else ""
        typer.echo(f"Put back: {figures['put_back']} of {len(waiting)}.{before}")
    if refused:
        raise typer.Exit(1)


def _chosen(
    settings: StackSettings,
    topic: str | None = None,
    reason: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> list[Letter]:
    import time

    from ingestion.admin import create_topics
    from ingestion.dead_letters import chosen, read_letters
    from ingestion.topics import DEAD_LETTERS, REDRIVES
    from stack.moments import moment_ms

    now_ms = int(time.time() * 1000)
    since_ms = None if since is None else moment_ms(since, now_ms)
    until_ms = None if until is None else moment_ms(until, now_ms)
    create_topics(settings.kafka, settings.namespace, (DEAD_LETTERS, REDRIVES))
    letters = read_letters(settings.kafka, settings.namespace)
    return chosen(letters, topic=topic, reason=reason, since_ms=since_ms, until_ms=until_ms)


def _named(letters: list[Letter], names: list[str]) -> list[Letter]:
    from stack.errors import UserError

    found = {letter.letter_id: letter for letter in letters}
    for name in names:
        if name not in found:
            raise UserError(f"There is no dead letter {name}; `tideline dead-letters list --all` names them.")
    return [found[name] for name in dict.fromkeys(names)]


def _put_back(redriver: Any, letters: list[Letter]) -> list[Outcome]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("putting back", total=len(letters))
        outcomes: list[Outcome] = redriver.redrive(letters, lambda done: bar.update(task, completed=done))
    return outcomes


def _as_json(letter: Letter) -> dict[str, Any]:
    import base64

    return {
        "letter": letter.letter_id,
        "topic": letter.letter.topic,
        "partition": letter.letter.partition,
        "offset": letter.letter.offset,
        "ts": letter.ts,
        "reasons": list(letter.reasons),
        "attempts": letter.attempts,
        "first": letter.first,
        "state": "open" if letter.is_open else "put_back",
        "put_back_at": letter.redrive.offset if letter.redrive and not letter.is_open else None,
        "value": base64.b64encode(letter.letter.value).decode(),
    }


def _outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    at = outcome.redrive
    return {
        "letter": outcome.letter_id,
        "put_back_at": None if at is None else at.offset,
        "attempt": None if at is None else at.attempt,
        "refused": outcome.refused,
    }


def _one_at_a_time(settings: StackSettings) -> Any:
    """Two people who put letters back at the same time would put some back twice."""
    from stack.lifecycle import layout_of
    from stack.locks import exclusive

    return exclusive(layout_of(settings).run / "redrive.lock")
