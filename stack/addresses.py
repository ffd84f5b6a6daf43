"""``addresses.toml``: where the servers and the files of this stack are, as every process's settings."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ingestion.whole_files import write_whole
from stack.layout import Layout
from stack.plan import Plan
from stack.ports import LOOPBACK
from stack.servers import postgres
from timelines.settings import UNNAMED, Projections, TimelineSettings


@dataclass(frozen=True)
class Choices:
    """What a person chose for this stack beyond its servers; the settings' own names."""

    namespace: str = ""
    dev_login: bool = False
    push_below: int = TimelineSettings().push_below
    pull_above: int = TimelineSettings().pull_above
    projections: Projections = UNNAMED


def sections(plan: Plan, choices: Choices) -> dict[str, dict[str, str | bool | int]]:
    """The settings' sections; paths are absolute, so that every process means the same folder.

    A Kafka or Valkey that this stack does not start has none: its address is for a person to set.
    """
    home = plan.home
    own: dict[str, dict[str, str | bool | int]] = {}
    if "kafka" in plan.servers:
        own["kafka"] = {"bootstrap": f"{LOOPBACK}:{plan.ports['kafka']}"}
    if "valkey" in plan.servers:
        own["redis"] = {"url": f"redis://{LOOPBACK}:{plan.ports['valkey']}/0"}
    return own | {
        "records": {"dsn": postgres.dsn(plan)},
        "flink": {
            "rest": f"{LOOPBACK}:{plan.ports['flink']}",
            "checkpoint_dir": str(home / "flink" / "checkpoints"),
            "savepoint_dir": str(home / "flink" / "savepoints"),
        },
        "mlflow": {
            "tracking_uri": plan.address("mlflow"),
            "model_name": "-".join(filter(None, ("tideline-ranker", choices.namespace))),
            "experiment": "-".join(filter(None, ("ranking", choices.namespace))),
        },
        "api": {"url": plan.address("api")},
        "serving": {"cursor_key": str(home / "keys" / "cursor.key")},
        "timelines": {"push_below": choices.push_below, "pull_above": choices.pull_above},
        "projections": choices.projections.model_dump(),
        "lake": {"path": str(home / "lake")},
        "features": {
            "offline": str(home / "offline"),
            "registry": str(home / "feast" / "registry.db"),
            "quality": str(home / "quality"),
        },
        "tuning": {"folder": str(home / "tuning")},
        "security": {
            "private_key": str(home / "keys" / "token.pem"),
            "public_key": str(home / "keys" / "token.pub.pem"),
            "dev_login": choices.dev_login,
        },
    }


def render(plan: Plan, choices: Choices) -> str:
    """The file's text."""
    lines = [f"home = {json.dumps(str(plan.home))}", f"namespace = {json.dumps(choices.namespace)}"]
    for name, values in sections(plan, choices).items():
        lines += ["", f"[{name}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def forget_dev_login(layout: Layout) -> None:
    """The development login ends with the stack that was started with it."""
    if layout.addresses.exists():
        write(layout, layout.addresses.read_text().replace("dev_login = true", "dev_login = false"))


def write(layout: Layout, text: str) -> None:
    """Replace the file as a whole."""
    write_whole(layout.addresses, text)
