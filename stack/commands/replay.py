"""``tideline replay``."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.replay import ReplayFigures, ReplayOptions
    from ingestion.settings import KafkaSettings

REAL_DATA = "../shared/data"
WORLD = ".tideline/world"


def replay(
    jobs: Annotated[
        list[str] | None, typer.Argument(help="With --from: these projections; all of them without it.")
    ] = None,
    moment: Annotated[
        str | None,
        typer.Option(
            "--from", help="Rebuild projections from this moment on: 2026-11-20T00:00Z, 2h or beginning."
        ),
    ] = None,
    viewers: Annotated[
        int | None, typer.Option(min=1, help="With --from: compare only so many feeds, evenly spread.")
    ] = None,
    unlink_per_second: Annotated[
        float, typer.Option(min=1, help="With --from: how many replaced keys are taken away a second.")
    ] = 20_000,
    dataset: Annotated[
        str | None, typer.Option(help="synthetic (without it), retweet_cascade or public_stream.")
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="Where its files are; TIDELINE_DATA for real data, else the usual place."),
    ] = None,
    speed: Annotated[str | None, typer.Option(help="Multiple of the recorded time; max without it.")] = None,
    keep_time: Annotated[
        bool, typer.Option("--keep-time", help="Keep the recorded times, in a namespace of their own.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
) -> None:
    """Replay a dataset onto the log, or with --from the log into projections beside those that are read.

    A dataset: its events go onto the log, and the clock of every partition is advanced.

    With --from: timelines, content, engagement and trends are built anew in a namespace of their own, from
    the log, and from the lake where the log does not reach back; compared; and served in the place of the
    old ones.
    """
    from rich.console import Console

    from ingestion.replay import ReplayOptions, as_json_text
    from ingestion.settings import TidelineSettings

    if is_of_projections(moment, jobs or (), (dataset, directory, speed, keep_time or None)):
        from stack.commands.projections import rebuild_beside

        rebuild_beside(moment or "", jobs or (), viewers, unlink_per_second, as_json)
        return
    dataset = dataset or "synthetic"
    settings = TidelineSettings()
    options = ReplayOptions(speed=parse_speed(speed or "max"), keep_time=keep_time)
    namespace = settings.namespace or (dataset if keep_time else "")
    figures = replay_with_progress(
        dataset,
        directory or dataset_directory(dataset),
        settings.kafka,
        namespace,
        options,
        Console(stderr=True),
    )
    if as_json:
        typer.echo(as_json_text(figures))
        return
    kinds = ", ".join(f"{count:,} {name}" for name, count in figures.by_type.items())
    typer.echo(
        f"{figures.events:,} events in {figures.seconds:.1f} s ({figures.events_per_second:,.0f}/s): {kinds}."
    )


def is_of_projections(moment: str | None, jobs: Sequence[str], of_a_dataset: Sequence[object]) -> bool:
    """Whether projections are meant; ``of_a_dataset`` are the options that only a dataset has, None unset.

    Raises:
        UserError: both are meant, or projections without a moment.
    """
    from stack.errors import UserError

    if moment is None and not jobs:
        return False
    if any(option is not None for option in of_a_dataset):
        raise UserError(
            "Either a dataset is replayed onto the log (--dataset, --dir, --speed, --keep-time), or "
            "projections are rebuilt from it (--from): not both at once."
        )
    if moment is None:
        raise UserError(f"Say from when: `tideline replay --from beginning {' '.join(jobs)}`.")
    return True


def parse_speed(speed: str) -> float | None:
    """A multiple of the recorded time above 0, or None for ``max``."""
    from stack.errors import UserError

    if speed == "max":
        return None
    try:
        value = float(speed.removesuffix("x"))
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError(f"The speed is a number above 0 or max, not {speed}.")
    return value


def dataset_directory(dataset: str) -> Path:
    """Where a dataset's files are unless told: the world's folder, or that of the real data."""
    if dataset == "synthetic":
        return Path(WORLD)
    return Path(os.environ.get("TIDELINE_DATA", REAL_DATA))


def replay_with_progress(
    dataset: str,
    directory: Path,
    kafka: KafkaSettings,
    namespace: str,
    options: ReplayOptions,
    console: Console,
) -> ReplayFigures:
    """Create the topics that are missing, replay with a progress bar, return the figures.

    Raises:
        UserError: the dataset cannot be read or the log does not take it.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from ingestion.admin import create_topics
    from ingestion.datasets.dataset import DatasetError
    from ingestion.datasets.registry import open_dataset
    from ingestion.publisher import KafkaPublisher, LogUnavailableError
    from ingestion.replay import replay as run
    from stack.errors import UserError

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} events, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    try:
        opened = open_dataset(dataset, directory)
        create_topics(kafka, namespace)
        publisher = KafkaPublisher(kafka, namespace, patience_s=60.0, delivery_s=60.0, linger_ms=20)
        try:
            with Progress(*columns, console=console) as progress:
                task = progress.add_task(f"replay {dataset}", total=opened.size, rate=0.0)
                return run(
                    opened,
                    publisher,
                    options,
                    now_ms=int(time.time() * 1000),
                    progress=lambda events, rate: progress.update(task, completed=events, rate=rate),
                )
        finally:
            publisher.close()
    except (DatasetError, LogUnavailableError) as error:
        raise UserError(str(error)) from error
