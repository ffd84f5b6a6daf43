"""Every night: rebuild the offline features, materialize them, train and promote a ranker.

Holds no logic: each task is one `tideline` command, so that a task can be run again by hand as it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

DEFAULTS = {
    "owner": "ranking",
    "retries": 2,
    "retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(hours=2),
}

with DAG(
    dag_id="daily_ranking",
    description="Offline features, online features, ranker",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
) as dag:
    build = BashOperator(task_id="build_features", bash_command="tideline features build")
    apply = BashOperator(task_id="apply_feature_views", bash_command="tideline features apply")
    materialize = BashOperator(task_id="materialize_features", bash_command="tideline features materialize")
    train = BashOperator(task_id="train_ranker", bash_command="tideline train")

    build >> apply >> materialize >> train
