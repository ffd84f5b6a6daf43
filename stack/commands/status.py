"""``tideline status``."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Each server's process, address, condition and memory. Exits 1 unless all of them answer."""
    from stack.lifecycle import layout_of
    from stack.settings import StackSettings
    from stack.survey import survey

    found = survey(layout_of(StackSettings()))
    if as_json:
        typer.echo(json.dumps(found.as_json()))
    else:
        from rich.console import Console

        Console().print(found.as_table())
    if not found.ready:
        raise typer.Exit(1)
