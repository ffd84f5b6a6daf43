"""Every hour: the offline features and training examples from the lake, and the newest of them online.

Holds no logic: each task is one `tideline` command, so that a task can be run again by hand as it is. A table
that does not meet its expectations fails `build_features`, and nothing of it is materialized.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

DEFAULTS = {
    "owner": "features",
    "cwd": str(Path(__file__).parents[1]),
    "retries": 2,
    "retry_delay": timedelta(minutes=2),
    "execution_timeout": timedelta(minutes=50),
}

with DAG(
    dag_id="hourly_features",
    description="Offline features, training examples, online features",
    doc_md=__doc__,
    tags=["features"],
    schedule="5 * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
) as dag:
    # Up to a whole hour: a row of the minutes since would be online, and gone offline with the next build.
    build = BashOperator(
        task_id="build_features",
        bash_command="tideline features build --until {{ dag_run.run_after.strftime('%Y-%m-%dT%H:00:00') }}",
    )
    apply = BashOperator(task_id="apply_feature_views", bash_command="tideline features apply")
    materialize = BashOperator(task_id="materialize_features", bash_command="tideline features materialize")

    build >> apply >> materialize
