"""``tideline up`` as a function: servers, topics, jobs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from urllib.parse import urlsplit

from stack import lifecycle
from stack.addresses import Choices
from stack.errors import UserError
from stack.jobs import JobControl
from stack.plan import Plan
from stack.projections.ledger import Ledger
from stack.settings import StackSettings
from stack.state import StackState
from timelines.settings import RedisSettings

Echo = Callable[[str], None]


def bring_up(
    settings: StackSettings,
    namespace: str | None,
    only: tuple[str, ...],
    without: tuple[str, ...],
    dev_login: bool,
    echo: Echo,
    push_below: int | None = None,
    pull_above: int | None = None,
) -> Plan:
    """Start what is asked for, or give a running stack other choices; those not made stay as they were.

    ``UserError`` says what failed; whatever this call started is stopped again.
    """
    layout = lifecycle.layout_of(settings)
    wanted = lifecycle.selected(only, without)
    choices = Choices(
        settings.namespace if namespace is None else namespace,
        dev_login,
        settings.timelines.push_below if push_below is None else push_below,
        settings.timelines.pull_above if pull_above is None else pull_above,
    )
    choices = replace(choices, projections=Ledger(layout).of(choices.namespace).projections)
    report = _progress(echo)
    started = lifecycle.running(layout) is None
    if started:
        plan = lifecycle.make_plan(settings, wanted, lambda line: echo(f"  jar {line}"))
        lifecycle.start(plan, choices, report)
    else:
        plan = Plan.model_validate_json(layout.plan.read_text())
        if missing := [name for name in wanted if name not in plan.servers]:
            raise UserError(
                f"The stack already runs, without {', '.join(missing)}: stop it first with `tideline down`."
            )
        if "flink" in plan.servers:
            JobControl(plan).require_slots_to_resume(choices.namespace)
        lifecycle.reload(plan, choices, report)
    try:
        _fill(plan, choices.namespace, echo)
    except BaseException:
        if started:
            lifecycle.stop(layout, plan.stack.stop_seconds)
        raise
    return plan


def _fill(plan: Plan, namespace: str, echo: Echo) -> None:
    """Topics, tables, the store's functions, and the jobs that ran before.

    A Kafka or Valkey whose address the settings give is filled, whoever runs it.
    """
    settings = StackSettings(home=plan.home)
    if "bootstrap" in settings.kafka.model_fields_set:
        from ingestion.admin import create_topics

        create_topics(settings.kafka, namespace)
    if "postgres" in plan.servers or "relay" in plan.servers:
        from records.migrate import migrate

        migrate(settings.records, namespace)
    if "url" in settings.redis.model_fields_set:
        _load_functions(settings.redis)
    if "flink" in plan.servers:
        for title in JobControl(plan).resume(namespace):
            echo(f"  job {title} resumed")


def _load_functions(address: RedisSettings) -> None:
    import redis

    from features import rows
    from timelines import functions
    from timelines.client import open_client

    try:
        with closing(open_client(address, timeout_s=30, connect_timeout_s=5, retries=3)) as client:
            functions.load(client)
            rows.load_functions(client)
    except redis.RedisError as error:
        server = urlsplit(address.url)
        raise UserError(
            f"Valkey at {server.hostname}:{server.port} does not take the store's functions: {error}."
        ) from error


def _progress(echo: Echo) -> Callable[[StackState], None]:
    said: dict[str, str] = {}

    def report(state: StackState) -> None:
        for server in state.servers:
            if server.condition == "ready" and said.get(server.name) != "ready":
                echo(f"  {server.name:<12} {server.address}")
            said[server.name] = server.condition

    return report
