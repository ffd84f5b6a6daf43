"""The ranking service of a benchmark: one uvicorn worker with a generated model over a seeded Valkey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from benchmarks.service import HOST, running_app
from ingestion.settings import SecuritySettings
from serving.model_store import LAST_GOOD_FILE


def model_folder(home: Path) -> Path:
    """Where a service of this home finds the bundle that its benchmark writes there."""
    folder = home / "serving" / "model" / "live"
    folder.mkdir(parents=True)
    (folder / LAST_GOOD_FILE).write_text("bench-1\nbench@1\n")
    return folder / "bench-1"


def security_of(home: Path) -> SecuritySettings:
    """The keys that this home's tokens are signed with."""
    return SecuritySettings(private_key=home / "token.pem", public_key=home / "token.pub.pem")


@contextmanager
def running_service(
    home: Path, url: str, settings: Mapping[str, str], cores: set[int] | None = None
) -> Iterator[tuple[int, psutil.Process]]:
    """Its port and process, on these ``cores`` alone; neither Kafka nor MLflow is there.

    Args:
        settings: more of its environment.

    Raises:
        BenchmarkRefusedError: the service does not start.
    """
    environment = {
        "TIDELINE_HOME": str(home),
        "TIDELINE_REDIS__URL": url,
        "TIDELINE_MLFLOW__TRACKING_URI": f"http://{HOST}:1",
        "TIDELINE_KAFKA__BOOTSTRAP": f"{HOST}:1",
        "TIDELINE_SERVING__CURSOR_KEY": str(home / "cursor.key"),
        **key_files(home),
        "OMP_NUM_THREADS": "1",
        **settings,
    }
    app, log = "serving.app:from_environment", home / "service.log"
    with running_app(app, environment, log, cores, _has_model) as started:
        yield started


def key_files(home: Path) -> dict[str, str]:
    """The environment in which tokens of this home are good."""
    security = security_of(home)
    return {
        "TIDELINE_SECURITY__PRIVATE_KEY": str(security.private_key),
        "TIDELINE_SECURITY__PUBLIC_KEY": str(security.public_key),
    }


def _has_model(address: str) -> bool:
    return httpx.get(f"{address}/readyz", timeout=30).json()["model"] is not None
