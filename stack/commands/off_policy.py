"""``tideline off-policy``."""

from __future__ import annotations

import json
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stack.moments import MOMENTS, utc_ms

if TYPE_CHECKING:
    from training.bundle import Bundle
    from training.settings import MlflowSettings


def off_policy(
    model: Annotated[str, typer.Argument(help="A bundle's folder, or an alias in the registry.")],
    since: Annotated[datetime | None, typer.Option(formats=MOMENTS, help="Pages from then on (UTC).")] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=MOMENTS, help="Pages before then; those that have all labels without it."),
    ] = None,
    clip: Annotated[float, typer.Option(min=1.0, help="The largest weight of the clipped estimate.")] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """What the slots that exploration contested would be worth if MODEL decided them, from the lake.

    Exits 1 with one sentence when the log cannot tell.
    """
    from features.examples import TRAINING_EXAMPLES
    from features.labelled_examples import label_window
    from features.store import offline_folder
    from pipelines.settings import StreamSettings
    from stack.offline_tables import offline_tables
    from training.contests import decide, read_contests, read_labels
    from training.off_policy_report import lines, report, shape
    from training.settings import TrainingSettings

    settings, stream = TrainingSettings(), StreamSettings()
    with offline_tables(settings, "tideline off-policy", as_json):
        labels = read_labels(offline_folder(settings) / TRAINING_EXAMPLES)
        # What was shown later may still be engaged with.
        until_ms = utc_ms(until) if until else utc_ms(label_window(settings).closed)
    since_ms = utc_ms(since) if since else None
    contests = read_contests(stream.lake.path, stream.namespace, labels, since_ms, until_ms)
    result = report(decide(contests, _bundle(settings.mlflow, model)), clip)
    if as_json:
        facts = {"model": model, "since_ms": since_ms, "until_ms": until_ms}
        typer.echo(json.dumps(facts | {"left_out": dict(contests.left_out)} | shape(result), indent=2))
        return
    for line in lines(result):
        typer.echo(line)
    for reason, count in contests.left_out.items():
        typer.echo(f"left out: {count:,} pages {reason}")


def _bundle(settings: MlflowSettings, model: str) -> Bundle:
    from training.bundle import Bundle
    from training.registry import download_champion

    if Path(model).is_dir():
        return Bundle.load(Path(model))
    with tempfile.TemporaryDirectory() as folder:
        named = settings.model_copy(update={"alias": model})
        return Bundle.load(download_champion(named, Path(folder)).path)
