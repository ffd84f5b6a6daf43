"""``tideline down``."""

from __future__ import annotations

import typer


def down() -> None:
    """Stop every process of the local stack; its data stays."""
    from stack.lifecycle import layout_of, stop
    from stack.settings import StackSettings

    settings = StackSettings()
    stopped = stop(layout_of(settings), settings.stack.stop_seconds)
    typer.echo("The stack is down." if stopped else "The stack was not running.")
