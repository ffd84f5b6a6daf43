"""``tideline experiment``."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from stack.moments import MOMENTS, utc_ms

app = typer.Typer(help="Experiments on readers of the feed.", no_args_is_help=True)


@app.command()
def report(
    experiment: Annotated[
        Path | None, typer.Option(help="The experiment's file; the one under way without it.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="Impressions from then on (UTC).")
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=MOMENTS, help="Impressions before then.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare the arms: readers, outcomes with intervals, guardrails, and the split, from the lake."""
    from features.settings import FeatureStoreSettings
    from pipelines.settings import StreamSettings
    from serving.experiments import lake
    from serving.experiments.experiment import load_experiment
    from serving.experiments.report import LATENCY, lines, shape
    from serving.experiments.report import report as compare
    from serving.settings import ServingSettings
    from stack.errors import UserError

    path = experiment or ServingSettings().serving.experiment
    if path is None:
        raise UserError(
            "No experiment is under way: name its file with --experiment or TIDELINE_SERVING__EXPERIMENT."
        )
    chosen = load_experiment(path)
    settings, window_ms = StreamSettings(), FeatureStoreSettings().features.attribution_ms
    files = lake.Lake(settings.lake.path, settings.namespace)
    until_ms = utc_ms(until) if until else time.time_ns() // 1_000_000
    shown = lake.served(files, chosen, utc_ms(since) if since else None, until_ms)
    if shown.empty:
        raise UserError(f"The lake has no impressions of the experiment {chosen.name} in that time.")
    pages = lake.pages(shown)
    result = compare(chosen, lake.with_outcomes(files, shown, until_ms, window_ms), pages, lake.OUTCOMES)
    unmeasured = int(pages["latency_ms"].isna().sum())
    if as_json:
        facts = {"experiment": chosen.name, "impressions": len(shown), "pages": len(pages)}
        typer.echo(json.dumps(facts | {"pages_without_latency": unmeasured} | shape(result), indent=2))
        return
    typer.echo(f"{chosen.name}: {len(shown):,} impressions on {len(pages):,} pages")
    for line in lines(result):
        typer.echo(line)
    if unmeasured:
        typer.echo(f"{LATENCY}: {unmeasured:,} of {len(pages):,} pages did not log what they took.")
