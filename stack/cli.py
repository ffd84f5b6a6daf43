"""The ``tideline`` command. Sub-commands import what they need when they run, so that ``--help`` is quick."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import typer

from stack.commands import (
    bench,
    closed_loop,
    dead_letters,
    demo,
    down,
    drift,
    evaluate,
    experiment,
    fan_out,
    features,
    jobs,
    lake,
    logs,
    marks,
    models,
    off_policy,
    ranking,
    rebuild,
    records,
    replay,
    status,
    token,
    train,
    trends,
    tune,
    up,
    verify,
    warm,
    world,
)
from stack.errors import sentence_of
from stack.java import export_java

app = typer.Typer(
    help="Tideline: ranked feeds, from events to the API, on one machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    up.up,
    down.down,
    status.status,
    logs.logs,
    demo.demo,
    world.world,
    replay.replay,
    train.train,
    tune.tune,
    drift.drift,
    evaluate.evaluate,
    closed_loop.closed_loop,
    off_policy.off_policy,
    verify.verify,
    rebuild.rebuild,
    warm.warm,
    token.token,
    bench.bench,
):
    app.command()(command)
app.add_typer(jobs.app, name="jobs")
app.add_typer(experiment.app, name="experiment")
app.add_typer(fan_out.app, name="fan-out")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(features.app, name="features")
app.add_typer(lake.app, name="lake")
app.add_typer(marks.app, name="marks")
app.add_typer(models.app, name="models")
app.add_typer(ranking.app, name="ranking")
app.add_typer(records.app, name="records")
app.add_typer(trends.app, name="trends")


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; a known failure is one red sentence and exit code 1."""
    # A TERM is a Ctrl-C: what was started is stopped on the way out.
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGHUP, _interrupted)
    # Spark's and Flink's launchers would take whatever Java is first on the PATH.
    export_java(os.environ)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        typer.secho(sentence, fg=typer.colors.RED, err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
