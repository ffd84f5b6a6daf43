"""``tideline up``."""

from __future__ import annotations

import time
from typing import Annotated

import typer


def up(
    namespace: Annotated[str | None, typer.Option(help="Prefix of topics, keys and tables.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Start only this server (repeatable).")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave this server out (repeatable).")] = None,
    push_below: Annotated[int | None, typer.Option(help="Authors with fewer followers are pushed.")] = None,
    pull_above: Annotated[int | None, typer.Option(help="Authors with so many followers are pulled.")] = None,
    dev_login: Annotated[bool, typer.Option(help="Let anyone sign in as anyone.")] = False,
) -> None:
    """Start the local stack, wait until every server answers, and give each job its last checkpoint."""
    from stack.bring_up import bring_up
    from stack.settings import StackSettings

    began = time.monotonic()
    bring_up(
        StackSettings(),
        namespace,
        tuple(only or ()),
        tuple(without or ()),
        dev_login,
        typer.echo,
        push_below,
        pull_above,
    )
    typer.echo(f"The stack is up after {time.monotonic() - began:.1f} s.")
