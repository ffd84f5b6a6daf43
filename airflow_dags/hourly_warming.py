"""Before every hour: the expired home timelines of readers who usually come then.

Holds no logic: the task is one `tideline` command, so that it can be run again by hand as it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

DEFAULTS = {
    "owner": "timelines",
    "cwd": str(Path(__file__).parents[1]),
    "retries": 2,
    "retry_delay": timedelta(minutes=2),
    "execution_timeout": timedelta(minutes=30),
}

with DAG(
    dag_id="hourly_warming",
    description="Timelines of readers whose usual hour begins",
    doc_md=__doc__,
    tags=["timelines"],
    schedule="40 * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
) as dag:
    BashOperator(
        task_id="warm_timelines",
        bash_command="tideline warm --hour {{ (dag_run.run_after + macros.timedelta(hours=1)).hour }}",
    )
