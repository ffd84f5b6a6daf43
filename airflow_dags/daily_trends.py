"""Every night: yesterday's trends again from the lake, late tweets in their place, and one file a day.

Holds no logic: each task is one `tideline` command, so that a task can be run again by hand as it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

DEFAULTS = {
    "owner": "trends",
    "cwd": str(Path(__file__).parents[1]),
    "retries": 2,
    "retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(hours=1),
}

with DAG(
    dag_id="daily_trends",
    description="The analysts' table of trends",
    doc_md=__doc__,
    tags=["trends"],
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
) as dag:
    rebuild = BashOperator(
        task_id="rebuild_trends",
        bash_command="tideline trends rebuild {{ macros.ds_add(ds, -1) }}",
    )
    compact = BashOperator(task_id="compact_trends", bash_command="tideline trends compact")

    rebuild >> compact
