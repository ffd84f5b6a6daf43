"""``tideline world``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def world(
    out: Annotated[Path, typer.Option(help="Folder that the Parquet files are written to.")] = Path(
        ".tideline/world"
    ),
    seed: Annotated[int, typer.Option(help="The same seed and sizes give the same world.")] = 7,
    users: Annotated[int, typer.Option(help="People.")] = 2000,
    days: Annotated[int, typer.Option(help="Days that the world lasts.")] = 4,
    followees: Annotated[
        float, typer.Option(help="Mean accounts followed: more fill timelines more.")
    ] = 28.0,
    tweets_per_day: Annotated[float, typer.Option(help="Mean tweets per user and day.")] = 3.0,
    sessions_per_day: Annotated[float, typer.Option(help="Mean pages read per user and day.")] = 0.65,
    attackers: Annotated[int, typer.Option(help="Accounts of a planted attack, beside the people.")] = 0,
) -> None:
    """Write a seeded synthetic world with its planted truth."""
    from rich.console import Console
    from rich.table import Table

    from ingestion.world.generate import generate, write
    from ingestion.world.plan import WorldError, WorldPlan
    from stack.errors import UserError

    began = time.monotonic()
    try:
        made = generate(
            WorldPlan(
                seed=seed,
                users=users,
                days=days,
                followees=followees,
                tweets_per_day=tweets_per_day,
                sessions_per_day=sessions_per_day,
                attackers=attackers,
            )
        )
        write(made, out)
    except WorldError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"The world cannot be written to {out}: {error.strerror}.") from error
    table = Table("file", "rows")
    for stem, count in made.rows.items():
        table.add_row(f"{stem}.parquet", f"{count:,}")
    console = Console()
    console.print(table)
    console.print(f"Written to {out} in {time.monotonic() - began:.1f} s.")
