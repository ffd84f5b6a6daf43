"""Every night: one file of each finished day's many in the lake, which gets a file of each type a checkpoint.

Holds no logic: the task is one `tideline` command, so that it can be run again by hand as it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

DEFAULTS = {
    "owner": "platform",
    "cwd": str(Path(__file__).parents[1]),
    "retries": 2,
    "retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(hours=1),
}

with DAG(
    dag_id="daily_compaction",
    description="Small files of the lake",
    doc_md=__doc__,
    tags=["lake"],
    schedule="15 1 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
) as dag:
    BashOperator(task_id="compact_lake", bash_command="tideline lake compact")
