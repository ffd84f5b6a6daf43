"""A fixed id for every operator of a job, so that its state is found again after the job has changed.

Operators of the DataStream API name theirs (``uid``). Those that Flink SQL makes have none: Flink would
derive it from the shape of the whole graph before them, and the position of a Kafka source would be lost
with any edit. Here such an operator is named after what it is, and numbered among its like.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pyflink.datastream import StreamExecutionEnvironment

SQL_NODE_NUMBER = re.compile(r"\[\d+\]")
NUMBERED_UID = re.compile(r"\d+_")
NO_LETTER = re.compile(r"[^a-z0-9]+")


class JobEnvironment(StreamExecutionEnvironment):  # type: ignore[misc]
    """Gives every operator a fixed id before the job is submitted."""

    def execute(self, job_name: str | None = None) -> Any:
        fix_ids(self)
        return super().execute(job_name)


def fix_ids(env: StreamExecutionEnvironment) -> None:
    """Name the operators that have no name of their own."""
    found = list(_transformations(env))
    taken = {uid for operator in found if (uid := _own_uid(operator)) is not None}
    seen: Counter[str] = Counter()
    for operator in found:
        if _own_uid(operator) is None:
            kind = slug(operator.getName())
            seen[kind] += 1
            uid = kind if seen[kind] == 1 else f"{kind}-{seen[kind]}"
            if uid in taken:
                raise ValueError(f"Two operators would be called {uid}: give one of them another uid.")
            taken.add(uid)
            operator.setUid(uid)


def operators(env: StreamExecutionEnvironment) -> dict[str, str | None]:
    """The fixed id, or None, of each operator by its name in the graph; nothing is submitted."""
    graph = env._j_stream_execution_environment.getStreamGraph(False)
    return {
        f"{node.getOperatorName()} ({node.getId()})": node.getTransformationUID()
        for node in graph.getStreamNodes().toArray()
    }


def slug(name: str) -> str:
    """``Calc[12]`` -> ``calc``: the number counts the nodes of one client, not of the job."""
    return NO_LETTER.sub("-", SQL_NODE_NUMBER.sub("", name).lower()).strip("-")


def _own_uid(operator: Any) -> str | None:
    """The name that the job gave. Some SQL operators get ``<number of the node>_<kind>`` from the planner,
    whose numbers go on from job to job in one client."""
    uid: str | None = operator.getUid()
    return None if uid is None or NUMBERED_UID.match(uid) else uid


def _transformations(env: StreamExecutionEnvironment) -> Iterator[Any]:
    """Each once, inputs before what reads them, in the order in which the job is built."""
    known: set[int] = set()

    def visit(operator: Any) -> Iterator[Any]:
        if operator.getId() in known:
            return
        known.add(operator.getId())
        for before in operator.getInputs():
            yield from visit(before)
        yield operator

    for operator in env._j_stream_execution_environment.getTransformations():
        yield from visit(operator)
