"""``tideline ranking``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stack.errors import UserError

if TYPE_CHECKING:
    from training.metrics import Interval

app = typer.Typer(help="What ranking is worth.", no_args_is_help=True)
PAGE = 20


@app.callback()
def ranking() -> None:
    """Keeps ``costs`` a sub-command while it is the only one."""


@app.command()
def costs(
    users: Annotated[int, typer.Option(help="People of the synthetic world.")] = 600,
    days: Annotated[int, typer.Option(help="Days of the synthetic world.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic world.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """What each rung of the ladder and each rule of the policy costs in nDCG@10, where the truth is known.

    Makes a world, its features and a model in a folder that is removed again; needs no running stack.
    """
    from ingestion.world.plan import WorldError
    from serving.feed.rule_costs import rule_costs
    from serving.feed.rung_costs import rung_costs
    from serving.settings import ServingSettings
    from stack.judged_world import judged, wide_world
    from stack.progress import steps
    from training.dataset import NoExamplesError

    policy = ServingSettings().serving.load_policy()
    try:
        plan = wide_world(users, days, seed)
        with tempfile.TemporaryDirectory() as folder, steps("starting", quiet=as_json) as announce:
            lists = judged(plan, policy, Path(folder), announce)
    except (WorldError, NoExamplesError) as error:
        raise UserError(str(error)) from error
    candidates = sum(len(request.ids) for request in lists.rungs) / len(lists.rungs)
    rungs = {str(row.rung): (row.ndcg_10, row.cost) for row in rung_costs(lists.rungs, policy.budgets)}
    rules = {row.rules: (row.ndcg_10, row.cost) for row in rule_costs(lists.rules, policy, PAGE)}
    if as_json:
        found = {"lists": len(lists.rungs), "candidates": candidates, "policy": policy.version}
        found |= {"rungs": _plain(rungs), "rules": _plain(rules)}
        typer.echo(json.dumps(found))
        return
    typer.echo(f"{len(lists.rungs)} lists of {candidates:.0f} candidates on average, policy {policy.version}")
    _print("rung", rungs)
    _print("rule", rules)


def _plain(rows: dict[str, tuple[Interval, Interval]]) -> dict[str, dict[str, list[float]]]:
    return {
        name: {"ndcg_10": [gain.value, gain.low, gain.high], "cost": [cost.value, cost.low, cost.high]}
        for name, (gain, cost) in rows.items()
    }


def _print(kind: str, rows: dict[str, tuple[Interval, Interval]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(kind, "nDCG@10", "cost", "95 % interval")
    for name, (gain, cost) in rows.items():
        table.add_row(name, f"{gain.value:.4f}", f"{cost.value:.4f}", f"{cost.low:.4f} to {cost.high:.4f}")
    Console().print(table)
