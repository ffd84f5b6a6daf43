"""``tideline train``."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer


def train(
    namespace: Annotated[
        str | None, typer.Option(help="Namespace of the examples; the settings' without it.")
    ] = None,
    promote: Annotated[
        bool, typer.Option(help="Ask the gate at once; without it the version becomes the challenger.")
    ] = True,
    parameters: Annotated[
        str | None,
        typer.Option(help="What `tideline tune` found: a study's name or a file; the defaults without it."),
    ] = None,
    objective: Annotated[
        Literal["heads", "lambdarank"],
        typer.Option(help="A head for each engagement, or the order of the lists alone."),
    ] = "heads",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Train the ranker on the offline examples, judge it beside baselines and champion, promote what passes.

    Exits 1 with one sentence when there is nothing to learn from or the model is not good enough to serve.
    """
    from rich.console import Console

    from features.examples import TRAINING_EXAMPLES
    from features.labelled_examples import labelled_examples
    from features.names import VIEWS
    from features.served_features import parity
    from pipelines.batch.before_materialization import remember_training
    from pipelines.batch.validation import DATA_DOCS
    from stack.errors import UserError
    from stack.offline_tables import offline_tables
    from stack.progress import steps
    from training.checks import parity_check, tables_check
    from training.settings import TrainingSettings
    from training.tables import comparison
    from training.train import TrainingPlan
    from training.train import train as run
    from training.tuning.parameters import read_parameters

    settings = TrainingSettings() if namespace is None else TrainingSettings(namespace=namespace)
    plan = TrainingPlan(objective=objective)
    if parameters is not None:
        tuned = read_parameters(parameters, settings.tuning.folder)
        plan = replace(plan, head=tuned.of(plan.head), parameters=tuned.study)
    with (
        tempfile.TemporaryDirectory() as folder,
        steps("joining examples with features", quiet=as_json) as announce,
    ):
        with offline_tables(settings, "tideline train", announce=announce):
            examples = labelled_examples(settings)
            announce("comparing logged and offline features")
            served = parity(settings)
            tables = [*(view.name for view in VIEWS), TRAINING_EXAMPLES, "labels"]
            results = settings.features.quality / settings.namespace
            checks = [tables_check(results, tables)]
            # The next build renders them anew, maybe while these are being logged.
            docs = Path(folder) / DATA_DOCS
            if (results / DATA_DOCS).is_dir():
                shutil.copytree(results / DATA_DOCS, docs)
        if served is not None:
            checks.append(parity_check(served, settings.features.parity))
        result = run(
            settings.mlflow,
            examples.frame,
            plan,
            announce,
            checks=checks,
            limits=settings.gate,
            promote=promote,
            namespace=settings.namespace,
            evidence=[docs] if docs.is_dir() else [],
        )
        remember_training(results, examples.frame["event_timestamp"].max())
    if as_json:
        typer.echo(json.dumps({**result.summary(), "left_out_examples": examples.left_out}))
    else:
        if examples.left_out:
            typer.echo(examples.sentence)
        Console().print(comparison(result.report))
        if objective == "heads":
            for head, why in result.left_out.items():
                typer.echo(f"The head {head} is left out: {why}.")
    if result.refusal:
        raise UserError(result.refusal)
    if not as_json:
        typer.echo(f"{result.version} is {'the challenger' if result.challenger else 'champion'}.")
