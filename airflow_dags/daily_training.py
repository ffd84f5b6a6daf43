"""Every night: a ranker on the newest training examples, and the gate's decision on it.

Holds no logic: each task is one `tideline` command, so that a task can be run again by hand as it is. A model
that the gate refuses fails `promote_ranker`; it stays challenger, and the champion is served on.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

DEFAULTS = {
    "owner": "ranking",
    "cwd": str(Path(__file__).parents[1]),
    "retries": 1,
    "retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(hours=2),
}

with DAG(
    dag_id="daily_training",
    description="A challenger, and whether it becomes champion",
    doc_md=__doc__,
    tags=["ranking"],
    schedule="30 3 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
) as dag:
    train = BashOperator(task_id="train_ranker", bash_command="tideline train --no-promote")
    # A refusal is an answer: asked again, the gate would judge the same version on the same lists once more.
    promote = BashOperator(task_id="promote_ranker", bash_command="tideline models promote", retries=0)

    train >> promote
