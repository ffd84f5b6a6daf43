"""``tideline down``."""

from __future__ import annotations

import typer


def down() -> None:
    """Stop every process of the local stack; its data stays."""
    from stack.addresses import forget_dev_login
    from stack.lifecycle import layout_of, stop
    from stack.settings import StackSettings

    settings = StackSettings()
    layout = layout_of(settings)
    stopped = stop(layout, settings.stack.stop_seconds)
    forget_dev_login(layout)
    typer.echo("The stack is down." if stopped else "The stack was not running.")
