"""The service with an experiment under way, on a real Valkey: two models at once, and a shadow."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from benchmarks.feed_world import World
from serving.app import create_app
from serving.experiments.experiment import load_experiment
from serving.model_store import LAST_GOOD_FILE
from tests.integration.test_serving_http import NAMESPACE, Reader, bundle, settings_of, world

__all__ = ["bundle", "world"]
pytestmark = pytest.mark.valkey

EXPERIMENT = """
format = 1
name = "trial"
salt = "{salt}"
[[arms]]
name = "control"
weight = 0.5
[[arms]]
name = "new"
weight = 0.5
model = "challenger"
policy = "steep.toml"
[[shadows]]
name = "next"
model = "challenger"
"""


def written(folder: Path, new: int, control: int) -> Path:
    """An experiment in which these readers are of these arms."""
    default = resources.files("serving.feed").joinpath("policies", "default.toml").read_text()
    version = next(line for line in default.splitlines() if line.startswith("version"))
    (folder / "steep.toml").write_text(default.replace(version, 'version = "steep"'))
    path = folder / "trial.toml"
    for salt in range(1000):
        path.write_text(EXPERIMENT.format(salt=salt))
        experiment = load_experiment(path)
        if (experiment.arm_of(new).name, experiment.arm_of(control).name) == ("new", "control"):
            return path
    raise AssertionError("no salt parts them")


@pytest.fixture(scope="module")
def reader(
    valkey: str, world: World, bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reader]:
    """Without a registry, with a last-good model of each alias; signed in as a reader of the new arm."""
    home = tmp_path_factory.mktemp("experiment")
    folder = home / "serving" / "model" / NAMESPACE
    for version, marker in ((1, LAST_GOOD_FILE), (2, f"{LAST_GOOD_FILE}-challenger")):
        shutil.copytree(bundle, folder / f"tideline-ranker-{version}")
        (folder / marker).write_text(f"tideline-ranker-{version}\ntideline-ranker@{version}\n")
    settings = settings_of(home, valkey)
    experiment = written(home, *world.readers[:2])
    section = settings.serving.model_copy(update={"experiment": experiment})
    settings = settings.model_copy(update={"serving": section})
    app = create_app(settings)
    with TestClient(app) as client:
        deadline = time.monotonic() + 60
        service = app.state.serving
        while any(models.current is None for models in (service.models, *service.challengers.values())):
            assert time.monotonic() < deadline, client.get("/readyz").text
            time.sleep(0.05)
        yield Reader(client, settings, world.readers[0])


def test_each_reader_has_the_model_and_the_policy_of_the_own_arm_on_every_page(
    reader: Reader, world: World
) -> None:
    control = reader.another(world.readers[1])
    for client, model, policy in (
        (reader, "tideline-ranker@2", "steep"),
        (control, "tideline-ranker@1", None),
    ):
        page = client.get("/v1/feed", limit=10, explain="true").json()
        below = client.get("/v1/feed", limit=10, explain="true", cursor=page["next_cursor"]).json()
        for answer in (page, below):
            assert (answer["ranking"]["rung"], answer["ranking"]["model"]) == ("full", model)
            assert (answer["explanation"]["policy"] == "steep") is (policy == "steep")
            assert all(item["explanation"]["heads"] for item in answer["items"])


def test_the_state_of_each_alias_shows_in_readiness(reader: Reader) -> None:
    assert "registry" in reader.get("/readyz").json()["dependencies"]["model:challenger"]


def test_pages_that_a_shadow_scored_are_counted(reader: Reader, world: World) -> None:
    reader.another(world.readers[2]).get("/v1/feed", limit=10)
    deadline = time.monotonic() + 30
    while 'tideline_shadow_pages_total{outcome="scored",shadow="next"}' not in reader.get("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
