"""``tideline records``."""

from __future__ import annotations

import typer

app = typer.Typer(help="The tables in PostgreSQL.", no_args_is_help=True)


@app.callback()
def records() -> None:
    """Keeps ``migrate`` a command of its own."""


@app.command()
def migrate() -> None:
    """Make the namespace's tables, or bring them to the newest version; `tideline up` does it too."""
    from records.connections import schema_of
    from records.migrate import migrate
    from stack.settings import StackSettings

    settings = StackSettings()
    version = migrate(settings.records, settings.namespace)
    typer.echo(f"The tables of the schema {schema_of(settings.namespace)} are at version {version}.")
