"""What every command of the stack starts from: the settings and the plan of the running stack."""

from __future__ import annotations

from stack.errors import UserError
from stack.jobs import JobControl
from stack.lifecycle import layout_of, running
from stack.plan import Plan
from stack.settings import StackSettings


def running_plan(settings: StackSettings) -> Plan:
    """The plan of the running stack; ``UserError`` when none runs."""
    layout = layout_of(settings)
    if running(layout) is None:
        raise UserError("The stack is not running: start it with `tideline up`.")
    return Plan.model_validate_json(layout.plan.read_text())


def job_control(settings: StackSettings) -> JobControl:
    """The jobs of the running stack; ``UserError`` when it runs without Flink."""
    plan = running_plan(settings)
    if "flink" not in plan.servers:
        raise UserError("The stack was started without flink, so there are no jobs.")
    return JobControl(plan)
