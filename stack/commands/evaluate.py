"""``tideline evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from training.list_evaluation import ListEvaluation
    from training.settings import MlflowSettings


def evaluate(
    dataset: Annotated[
        str, typer.Option(help="news_impressions, retweet_cascade, tweet_engagement or synthetic.")
    ],
    train: Annotated[Path, typer.Option(help="The folder to learn from.")],
    test: Annotated[Path, typer.Option(help="A later folder of the same files, to judge on.")],
    track: Annotated[
        bool | None,
        typer.Option(
            "--track/--no-track",
            help="Log the run to MLflow; without it if the settings name a tracking store.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object as the last line, after the table.")
    ] = False,
) -> None:
    """Fit the list model on one folder and judge it on a later one, beside the baselines.

    The figures do not depend on MLflow: where it does not answer, one sentence says that nothing is logged.
    Exits 1 with one sentence when a folder is not what it should be, or there is too little to learn from.
    """
    from rich.console import Console

    from stack.progress import steps
    from training.latency import HEAD_ROWS, LIGHT_ROWS
    from training.list_evaluation import evaluate as run
    from training.list_report import comparison
    from training.list_slices import worse_slices
    from training.settings import TrainingSettings

    # What is wrong with them is to be said before the work, not after it.
    settings = TrainingSettings().mlflow
    with steps("starting") as announce:
        result = run(dataset, train, test, announce=announce)
    title = (
        f"{dataset}: {result.lists:,} lists, {result.rows:,} rows, after {result.train_rows:,} to learn from"
    )
    Console().print(comparison(title, {"champion": result.champion, **result.baselines}))
    if result.share_of_gain is not None:
        typer.echo(f"Share of the possible gain over chronological in nDCG@10: {result.share_of_gain:.3f}")
    typer.echo(
        f"Scoring a page costs {result.scoring.ratio:.2f} of one plain head: "
        f"{result.size['light_trees']} trees on {LIGHT_ROWS} rows, {result.size['trees']} on {HEAD_ROWS}."
    )
    worse = worse_slices(result.slices)
    typer.echo(
        f"Slices beside {result.strongest}: "
        + (f"worse in {', '.join(worse)}." if worse else f"worse in none of {len(result.slices)}.")
    )
    if track if track is not None else "tracking_uri" in settings.model_fields_set:
        _log(settings, result)
    if as_json:
        typer.echo(json.dumps(result.summary()))


def _log(settings: MlflowSettings, result: ListEvaluation) -> None:
    import tempfile

    from stack.progress import steps
    from training.list_record import experiment_of, track

    try:
        with steps("logging to MLflow"), tempfile.TemporaryDirectory() as folder:
            run_id = track(settings, result, Path(folder))
    except Exception as error:  # Whatever it is, the figures are there, and are what was asked for.
        typer.echo(f"Warning: this evaluation is not, or not wholly, logged: {error}", err=True)
    else:
        typer.echo(f"Logged to MLflow as run {run_id} of the experiment {experiment_of(result.dataset)}.")
