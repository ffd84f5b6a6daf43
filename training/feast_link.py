"""The tie between a model and its feature service, by the tags and file of Feast's own MLflow integration.

Feast sets them itself where the features are fetched inside an active MLflow run and the model is a pyfunc.
Ours are joined by Spark before there is a run, and the model is a plain bundle: so training writes what Feast
would, and Feast reads it.
"""

from __future__ import annotations

import json

from features.names import FEATURE_SERVICE, VIEWS
from features.settings import HasFeatureStore
from training.registry import RegistryError
from training.settings import MlflowSettings
from training.tracking import mlflow_client

SERVICE_TAG = "feast.feature_service"
FEATURES_FILE = "feast_features.json"


def feast_tags(namespace: str) -> dict[str, str]:
    """What Feast's integration says of a run that fetched the service's features."""
    from features.store import project_name

    return {
        "feast.project": project_name(namespace),
        SERVICE_TAG: FEATURE_SERVICE,
        "feast.feature_views": ",".join(sorted(view.name for view in VIEWS)),
        "feast.feature_refs": ",".join(feature_references()),
        "feast.feature_count": str(len(feature_references())),
    }


def feature_references() -> list[str]:
    """``view:feature`` of all that the service has."""
    return [f"{view.name}:{feature.name}" for view in VIEWS for feature in view.features]


def features_file() -> str:
    """The content of :data:`FEATURES_FILE`, which Feast compares with the service in its registry."""
    return json.dumps(feature_references(), indent=1)


def resolved_service(settings: HasFeatureStore, mlflow: MlflowSettings, version: str) -> str:
    """The feature service that a version of the model needs, as Feast resolves it.

    Raises:
        RegistryError: MLflow does not answer, or Feast finds no service, or one of other features.
    """
    # Feast takes seconds to load.
    from feast.mlflow_integration.model_resolver import FeastMlflowModelResolutionError

    from features.store import open_store

    with mlflow_client(mlflow):
        store = open_store(settings, mlflow=mlflow.tracking_uri)
        try:
            return str(store.mlflow.resolve_features(f"models:/{mlflow.model_name}/{version}"))
        except FeastMlflowModelResolutionError as error:
            raise RegistryError(f"Feast: {str(error).splitlines()[0]}") from None
