"""``tideline logs``."""

from __future__ import annotations

from typing import Annotated

import typer

BOTH = {"flink": ("jobmanager", "taskmanager")}


def logs(
    server: Annotated[str | None, typer.Argument(help="One server's log; all of them without it.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what is added.")] = False,
) -> None:
    """Print the end of the servers' logs."""
    from stack.errors import UserError
    from stack.lifecycle import layout_of
    from stack.log_view import follow_logs, tail
    from stack.settings import StackSettings

    layout = layout_of(StackSettings())
    found = sorted(layout.logs.glob("*.log"))
    if server is not None:
        names = BOTH.get(server, (server,))
        found = [log for log in found if log.stem in names]
        if not found:
            known = ", ".join(sorted(log.stem for log in layout.logs.glob("*.log"))) or "none yet"
            raise UserError(f"There is no log of {server!r}; there are: {known}.")
    for log in found:
        if len(found) > 1:
            typer.echo(f"==> {log} <==")
        for line in tail(log, lines):
            typer.echo(line)
    if follow:
        for name, line in follow_logs(found):
            typer.echo(f"{name}: {line}" if len(found) > 1 else line)
