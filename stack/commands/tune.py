"""``tideline tune``."""

from __future__ import annotations

from typing import Annotated

import typer


def tune(
    trials: Annotated[
        int | None, typer.Option(min=1, help="Trials of the whole study; the settings' without it.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1.0, help="Seconds that its trials may take in all; the settings'.")
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="The study's name; without it one that follows from the examples.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Namespace of the examples; the settings' without it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Search better parameters of the heads; a study that was interrupted goes on.

    They are judged before the examples of the final test, and used by `tideline train --parameters STUDY`.
    """
    import msgspec
    from rich.console import Console

    from features.labelled_examples import labelled_examples
    from stack.errors import UserError
    from stack.offline_tables import offline_tables
    from stack.progress import steps
    from training.dataset import prepare
    from training.settings import TrainingSettings
    from training.train import TrainingPlan
    from training.tuning.parameters import parameters_file
    from training.tuning.report import searched
    from training.tuning.run import tune as run
    from training.tuning.study import Budget, Search

    settings = TrainingSettings() if namespace is None else TrainingSettings(namespace=namespace)
    if study is not None and not study.replace("-", "").replace("_", "").isalnum():
        raise UserError(f"A study's name has letters, digits, - and _ only: {study!r} is none.")
    limits = settings.tuning
    budget = Budget(trials or limits.trials, seconds or limits.seconds)
    with steps("joining examples with features", quiet=as_json) as announce:
        with offline_tables(settings, "tideline tune", announce=announce):
            examples = labelled_examples(settings)
        search = Search(prepare(examples.frame), TrainingPlan(), settings.gate.scoring_ratio)
        tuned, ended = run(settings.mlflow, search, limits.folder, budget, study, announce)
    if as_json:
        typer.echo(msgspec.json.encode(tuned).decode())
        return
    if examples.left_out:
        typer.echo(examples.sentence)
    Console().print(searched(tuned, ended))
    typer.echo(f"Written to {parameters_file(limits.folder, tuned.study)}.")
    typer.echo(f"Use them: tideline train --parameters {tuned.study}")
