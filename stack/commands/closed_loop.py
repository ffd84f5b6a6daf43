"""``tideline closed-loop``."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Annotated

import typer


def closed_loop(
    days: Annotated[
        int, typer.Option(help="Simulated days; the first has no model, the second the first.")
    ] = 4,
    readers: Annotated[int, typer.Option(help="People of the world, shared among three arms.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed and sizes give the same run.")] = 7,
    out: Annotated[
        Path, typer.Option(help="Folder for the plot, the figures, and all that the run makes.")
    ] = Path(".tideline/closed-loop"),
    margin: Annotated[
        bool, typer.Option("--margin/--no-margin", help="Exit 1 where the champion's lead may be chance.")
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as one JSON object, too.")
    ] = False,
) -> None:
    """Serve, log, build, train, promote, serve again: simulated days in the synthetic world.

    Beside the champion's readers there are some with the first model, and some without any; it ends with a
    plot of what each of them did. It has a Valkey and an MLflow of its own, and leaves a running stack alone.

    Exits 1 where the champion does not lead both by more than chance.
    """
    from rich.console import Console

    from stack.closed_loop.folder import claim
    from stack.closed_loop.plan import LoopPlan
    from stack.errors import UserError
    from stack.progress import steps

    began = time.monotonic()
    plan = LoopPlan(days=days, readers=readers, seed=seed)
    claim(out)
    with warnings.catch_warnings():
        # PyFlink warns of four classes of its own while it is imported, and Feast puts its own filter first.
        warnings.simplefilter("ignore", DeprecationWarning)
        import pyflink.table  # noqa: F401
    from stack.closed_loop.plots import write_plot
    from stack.closed_loop.report import day_table, lead_table, report
    from stack.closed_loop.run import run
    from stack.closed_loop.servers import servers

    with steps("starting", quiet=as_json) as announce, servers(out, announce):
        loop = run(plan, out, announce)
    found = report(loop)
    loop.sessions.to_parquet(out / "sessions.parquet", index=False)
    write_plot(out / "closed-loop.png", found)
    figures = {
        "simulated_days": days,
        "readers": readers,
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
    }
    text = json.dumps(figures | found.plain())
    (out / "closed-loop.json").write_text(text + "\n")
    console = Console()
    for table in (day_table(found), lead_table(found)):
        console.print(table)
    for night in found.nights:
        console.print(night.sentence)
    console.print(f"{out / 'closed-loop.png'}, {out / 'closed-loop.json'}, {figures['seconds']} s")
    if as_json:
        typer.echo(text)
    if found.problem and margin:
        raise UserError(found.problem)
