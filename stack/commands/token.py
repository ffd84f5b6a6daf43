"""``tideline token``."""

from __future__ import annotations

import time
from typing import Annotated

import typer


def token(
    user: Annotated[int, typer.Option(help="The user's id.")],
    seconds: Annotated[int | None, typer.Option(help="How long it is valid.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="A role, such as admin; may be repeated.")] = None,
) -> None:
    """Print a bearer token for local use, signed with the local key (made if there is none)."""
    from ingestion.settings import TidelineSettings
    from ingestion.tokens import SigningKeyError, mint
    from stack.errors import UserError

    try:
        typer.echo(mint(TidelineSettings().security, user, int(time.time()), seconds, roles=role or ()))
    except SigningKeyError as error:
        raise UserError(str(error)) from error
