"""Opens the Feast store over our settings: registry file, Spark offline store, online store in Redis."""

from __future__ import annotations

import io
import re
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from feast import FeatureStore, RepoConfig
from feast.errors import FeatureServiceNotFoundException
from feast.repo_config import RegistryConfig

from features.feature_views import feature_objects
from features.names import FEATURE_SERVICE, ONLINE_VIEWS, VIEWS
from features.settings import HasFeatureStore
from features.spark_session import spark_conf
from timelines.keys import Keyspace


class OfflineRowsMissingError(RuntimeError):
    """No offline rows have been built yet."""


class FeatureServiceError(RuntimeError):
    """The registered feature service is not this build's; the message is one sentence."""


def offline_folder(settings: HasFeatureStore) -> Path:
    """Where the Parquet folders of this namespace's views are."""
    return settings.features.offline / settings.namespace if settings.namespace else settings.features.offline


def project_name(namespace: str) -> str:
    """The Feast project: letters, digits and underscores only."""
    return "tideline" + (f"_{re.sub(r'[^A-Za-z0-9]', '_', namespace)}" if namespace else "")


def open_store(
    settings: HasFeatureStore, now_ms: int | None = None, mlflow: str | None = None
) -> FeatureStore:
    """The feature store of ``settings.namespace``.

    Args:
        now_ms: the moment against which online rows age; None takes the wall clock at each read.
        mlflow: the address of the MLflow that ``store.mlflow`` asks; without it there is none.
    """
    # Feast says so of every view, each time it reads its registry, and puts its own filter first on import.
    warnings.filterwarnings("ignore", message="The spark data source API is an experimental feature")
    settings.features.registry.parent.mkdir(parents=True, exist_ok=True)
    keys = Keyspace.of(settings)
    config = RepoConfig(
        project=project_name(settings.namespace),
        provider="local",
        registry=RegistryConfig(path=str(settings.features.registry.absolute()), cache_ttl_seconds=0),
        offline_store={
            "type": "features.offline_store.TidelineOfflineStore",
            "spark_conf": spark_conf(settings.features),
        },
        online_store={
            "type": "features.online_store.TidelineOnlineStore",
            "url": settings.redis.url,
            "partitions": settings.redis.partitions,
            "cluster": settings.redis.cluster,
            "prefix": keys.prefix,
            "prefixes": {view.name: keys.owner(f"feature:{view.name}") for view in (*VIEWS, *ONLINE_VIEWS)},
            "now_ms": now_ms,
        },
        batch_engine={"type": "features.materialization.TidelineComputeEngine"},
        entity_key_serialization_version=3,
        materialization={"pull_latest_features": True},
        mlflow={"enabled": mlflow is not None, "tracking_uri": mlflow, "auto_log": False},
    )
    return FeatureStore(config=config)


def apply_repo(store: FeatureStore, settings: HasFeatureStore) -> int:
    """Register entities, views and service; returns how many objects there are. Repeating changes nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        objects = feature_objects(offline_folder(settings))
    store.apply(objects)
    return len(objects)


def check_service(store: FeatureStore) -> None:
    """That the registered feature service holds every view of the model's input with all its columns.

    Raises:
        FeatureServiceError: it does not, or was never registered.
    """
    try:
        service = store.get_feature_service(FEATURE_SERVICE)
    except FeatureServiceNotFoundException:
        raise FeatureServiceError(
            f"The feature service {FEATURE_SERVICE} is not registered: run `tideline features apply`."
        ) from None
    held = {view.name: {field.name for field in view.features} for view in service.feature_view_projections}
    lacking = [view.name for view in VIEWS if not {*view.columns} <= held.get(view.name, set())]
    if lacking:
        raise FeatureServiceError(
            f"The feature service {FEATURE_SERVICE} lacks {', '.join(lacking)} or columns of it: run "
            "`tideline features apply`."
        )


@dataclass(frozen=True)
class MaterializedView:
    """What one view's materialization wrote."""

    name: str
    rows: int
    seconds: float


def materialize(
    store: FeatureStore,
    settings: HasFeatureStore,
    until: datetime,
    done: Callable[[MaterializedView], None],
    full: bool = False,
) -> list[MaterializedView]:
    """Write the newest offline row of each entity to Redis, for the views that Spark computes.

    Each view goes on from where its last run ended; the first time, and with ``full`` (after Redis was lost),
    it takes all rows within its ttl. Rows of Flink's views are written by Flink.

    Raises:
        OfflineRowsMissingError: a view has no folder yet, or was not applied.
    """
    registered = {view.name: view for view in store.list_feature_views()}
    names = [view.name for view in VIEWS if view.engine == "spark"]
    for name in names:
        if name not in registered:
            raise OfflineRowsMissingError(f"{name} is not registered: run `tideline features apply` first.")
        if not (offline_folder(settings) / name).is_dir():
            raise OfflineRowsMissingError(
                f"There are no offline rows of {name}: run `tideline features build` first."
            )
    end = until.astimezone(UTC)
    online = store.provider.online_store
    written = []
    for name in names:
        started, before = time.monotonic(), online.rows_written
        since = registered[name].most_recent_end_time
        # Not `materialize_incremental`: its first run starts from the wall clock, whatever the end.
        start = end - registered[name].ttl if full or since is None else since
        # Feast prints to standard output, which here may carry one JSON object.
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            store.materialize(min(start, end), end, feature_views=[name])
        view = MaterializedView(name, online.rows_written - before, time.monotonic() - started)
        written.append(view)
        done(view)
    return written
