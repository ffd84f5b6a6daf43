"""What holds for every DAG, whatever it runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk import DAG

ROOT = Path(__file__).parents[2]
ANSWERS = {"promote_ranker"}
"""Tasks whose failure is an answer that another try would only repeat."""
DAGS = sorted(path.stem for path in (ROOT / "airflow_dags").glob("*.py"))


@pytest.fixture(params=DAGS)
def dag(request: pytest.FixtureRequest, dag_bag: DagBag) -> DAG:
    return dag_bag.dags[request.param]


def test_every_file_is_one_dag_of_its_name_and_imports_without_an_error(dag_bag: DagBag) -> None:
    assert dag_bag.import_errors == {}
    assert sorted(dag_bag.dags) == DAGS


def test_a_dag_says_what_it_is_for(dag: DAG) -> None:
    assert dag.description
    assert dag.doc_md
    assert dag.tags


def test_runs_of_a_dag_neither_overlap_nor_are_made_up_for(dag: DAG) -> None:
    assert dag.max_active_runs == 1
    assert not dag.catchup


def test_every_task_has_an_owner_retries_and_an_end(dag: DAG) -> None:
    for task in dag.tasks:
        assert task.owner not in ("", "airflow"), task.task_id
        assert task.retries == 0 if task.task_id in ANSWERS else task.retries >= 1, task.task_id
        assert task.retry_delay >= timedelta(minutes=1), task.task_id
        assert timedelta(0) < task.execution_timeout <= timedelta(hours=2), task.task_id


def test_every_task_is_one_command_that_runs_where_a_person_would_run_it(dag: DAG) -> None:
    for task in dag.tasks:
        assert task.bash_command.startswith("tideline "), task.task_id
        assert not set(task.bash_command) & set(";&|<>$`"), task.task_id
        assert task.cwd == str(ROOT), task.task_id


def test_tasks_of_a_dag_run_one_after_the_other(dag: DAG) -> None:
    first, *rest = dag.topological_sort()
    assert first.upstream_task_ids == set()
    for before, task in zip([first, *rest], rest, strict=False):
        assert task.upstream_task_ids == {before.task_id}
