"""Every day: what was shown of late beside what the champion was made on, and how old the features are.

Holds no logic: the task is one `tideline` command, so that it can be run again by hand as it is. A limit of
the settings that is passed fails the task; its log names the features, and Prometheus can read the figures.
Before there is a champion the task has nothing to compare with, says so, and succeeds.
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
    "execution_timeout": timedelta(minutes=30),
}

with DAG(
    dag_id="daily_drift",
    description="Drift of features, scores and labels",
    doc_md=__doc__,
    tags=["ranking"],
    schedule="45 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
) as dag:
    BashOperator(task_id="watch_drift", bash_command="tideline drift")
