"""``tideline demo``: the main path from an empty folder to a ranked feed."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    dataset: Annotated[str, typer.Option(help="synthetic, retweet_cascade or public_stream.")] = "synthetic",
    once: Annotated[bool, typer.Option(help="Stop the stack after the summary.")] = False,
    speed: Annotated[str, typer.Option(help="Multiple of the recorded time, or max.")] = "max",
    users: Annotated[int, typer.Option(help="People of the synthetic world.")] = 2000,
    days: Annotated[int, typer.Option(help="Days of the synthetic world.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic world.")] = 1,
    push_below: Annotated[int, typer.Option(min=1, help="Authors with fewer followers are pushed.")] = 25,
    pull_above: Annotated[int, typer.Option(min=1, help="Authors with so many followers are pulled.")] = 50,
) -> None:
    """Run the whole path on a dataset, print what was measured, and stay up until Ctrl-C.

    The demo starts a stack of its own and stops it: it lets anyone sign in as anyone.
    """
    from rich.console import Console

    from stack.commands.down import down
    from stack.demo.run import DemoOptions, run_demo
    from stack.demo.waiting import until_interrupted
    from stack.errors import UserError
    from stack.lifecycle import layout_of, running
    from stack.settings import StackSettings

    console = Console()
    options = DemoOptions(dataset, speed, users, days, seed, push_below, pull_above)
    options.check()
    if running(layout_of(StackSettings())) is not None:
        raise UserError(
            "A stack runs here already, and the demo would give it another namespace and a development "
            "login: stop it first with `tideline down`."
        )
    try:
        report = run_demo(options, console)
        report.print(console)
        if not once:
            console.print("Open the feed page in a browser; Ctrl-C stops everything.")
            until_interrupted()
    finally:
        down()
