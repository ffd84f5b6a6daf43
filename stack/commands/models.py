"""``tideline models``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from stack.errors import UserError

if TYPE_CHECKING:
    from training.dataset import Examples
    from training.settings import TrainingSettings

app = typer.Typer(help="The versions of the ranker: compared, promoted, rolled back.", no_args_is_help=True)
Namespace = Annotated[str | None, typer.Option(help="Namespace of the examples; the settings' without it.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]
Version = Annotated[str, typer.Argument(help="A version's number, or an alias such as champion.")]


@app.command("list")
def show() -> None:
    """Every version, newest first: its aliases, and what the gate said of it last."""
    from rich.console import Console

    from training.tables import versions_table
    from training.versions import opened

    with opened(_settings(None).mlflow) as versions:
        Console().print(versions_table(versions.name, versions.aliases(), versions.all()))


@app.command()
def compare(
    first: Version,
    second: Version,
    disputed: Annotated[int, typer.Option(min=0, help="Lists to show that they order most unlike.")] = 3,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Two versions side by side on examples that neither learned from; differences favour the first."""
    import msgspec
    from rich.console import Console

    from stack.progress import steps
    from training.side_by_side import fetched, side_by_side
    from training.tables import beside
    from training.versions import opened

    settings = _settings(namespace)
    with steps("fetching the versions", quiet=as_json) as announce:
        with opened(settings.mlflow) as versions:
            pair = versions.resolve(first), versions.resolve(second)
            if pair[0] == pair[1]:
                raise UserError(f"{first} and {second} are the same version, {pair[0]}.")
            bundles = fetched(versions, pair)
        announce("joining examples with features")
        examples = _examples(settings, "tideline models compare", announce)
        found = side_by_side(pair, bundles, examples, settings.gate, disputed, announce)
    if as_json:
        typer.echo(msgspec.json.encode(found.plain()).decode())
    else:
        Console().print(beside(found))


@app.command("features")
def feature_service(version: Version = "champion") -> None:
    """The feature service that a version needs, as Feast resolves it, compared with Feast's registry.

    Exits 1 with one sentence where they have other features.
    """
    from training.feast_link import resolved_service
    from training.versions import opened

    settings = _settings(None)
    with opened(settings.mlflow) as versions:
        number = versions.resolve(version)
    service = resolved_service(settings, settings.mlflow, number)
    typer.echo(
        f"{settings.mlflow.model_name}@{number} needs {service}, which Feast has as it was trained on."
    )


@app.command()
def promote(
    version: Annotated[
        str | None, typer.Argument(help="A number or an alias; the challenger without it.")
    ] = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Ask the gate, and make the version champion if it agrees; the former one is kept as last-good.

    Exits 1 with a line for each guard that does not hold; the version is then the challenger.
    """
    from stack.progress import steps
    from training.promotion import carry_out, judge
    from training.versions import CHALLENGER, opened

    settings = _settings(namespace)
    with opened(settings.mlflow) as versions:
        chosen = versions.resolve(version or CHALLENGER)
        if versions.aliases().get(settings.mlflow.alias) == chosen:
            raise UserError(f"{versions.name}@{chosen} is {settings.mlflow.alias} already.")
        with steps("joining examples with features", quiet=as_json) as announce:
            examples = _examples(settings, "tideline models promote", announce)
            decision = judge(versions, chosen, examples, settings.gate, announce)
            carry_out(versions, decision)
    name = f"{settings.mlflow.model_name}@{chosen}"
    if as_json:
        import json

        typer.echo(json.dumps(decision.plain()))
    elif decision.promoted:
        before = f"; {decision.champion} is last-good" if decision.champion else ""
        typer.echo(f"{name} is {settings.mlflow.alias}{before}.")
    if decision.uncompared:
        typer.echo(f"It was not compared with the champion: {decision.uncompared}", err=True)
    if not decision.promoted:
        typer.secho(f"{name} may not become {settings.mlflow.alias}:", fg=typer.colors.RED, err=True)
        for reason in decision.reasons:
            typer.echo(f"  {reason}", err=True)
        raise typer.Exit(1)


@app.command()
def rollback() -> None:
    """Make last-good the champion again."""
    from training.promotion import rollback as restore
    from training.versions import opened

    settings = _settings(None)
    with opened(settings.mlflow) as versions:
        done = restore(versions)
    if done is None:
        raise UserError("The champion is last-good already: there is nothing to roll back.")
    name = settings.mlflow.model_name
    typer.echo(f"{name}@{done.restored} is {settings.mlflow.alias} again; {done.withdrawn} is withdrawn.")


def _settings(namespace: str | None) -> TrainingSettings:
    from training.settings import TrainingSettings

    return TrainingSettings() if namespace is None else TrainingSettings(namespace=namespace)


def _examples(settings: TrainingSettings, command: str, announce: Callable[[str], None]) -> Examples:
    from features.labelled_examples import labelled_examples
    from stack.offline_tables import offline_tables
    from training.dataset import prepare

    with offline_tables(settings, command, announce=announce):
        labelled = labelled_examples(settings)
    if labelled.left_out:
        typer.echo(labelled.sentence, err=True)
    return prepare(labelled.frame)
