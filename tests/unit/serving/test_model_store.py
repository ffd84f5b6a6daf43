"""The model store: checked before use, never on the request path, good without its registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from serving.model_store import LAST_GOOD_FILE, ModelStore
from training.bundle import Bundle
from training.manifest import BundleError
from training.registry import RegistryError
from training.settings import MlflowSettings


@dataclass
class FakeRegistry:
    """A champion by version; None stands for a registry that does not answer."""

    version: int | None = None
    downloads: list[str] = field(default_factory=list)

    def champion(self) -> str:
        if self.version is None:
            raise RegistryError("The registry does not answer.")
        return f"ranker@{self.version}"

    def download(self, destination: Path) -> tuple[Path, str]:
        name = self.champion()
        self.downloads.append(name)
        folder = destination / f"ranker-{self.version}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder, name


def load(path: Path) -> Bundle:
    if path.name.endswith("-13"):
        raise BundleError("The model lacks features.")
    return path.name  # type: ignore[return-value]


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


def store(registry: FakeRegistry, folder: Path, last_good: str = LAST_GOOD_FILE) -> ModelStore:
    return ModelStore(registry, folder, poll_seconds=1.0, load=load, last_good=last_good)


def test_a_new_champion_is_taken_and_fetched_once(registry: FakeRegistry, tmp_path: Path) -> None:
    models = store(registry, tmp_path)
    registry.version = 1
    models.refresh()
    models.refresh()
    assert models.current is not None
    assert models.current.version == "ranker@1"
    assert registry.downloads == ["ranker@1"]
    assert models.problem is None


def test_a_champion_that_fails_its_checks_is_refused_once_and_the_old_one_stays(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    models = store(registry, tmp_path)
    registry.version = 1
    models.refresh()
    registry.version = 13
    models.refresh()
    models.refresh()
    assert models.current is not None
    assert models.current.version == "ranker@1"
    assert registry.downloads == ["ranker@1", "ranker@13"]
    assert models.problem == "ranker@13 was refused: The model lacks features."


def test_a_registry_that_goes_away_leaves_the_model_in_use(registry: FakeRegistry, tmp_path: Path) -> None:
    models = store(registry, tmp_path)
    registry.version = 1
    models.refresh()
    registry.version = None
    models.refresh()
    assert models.current is not None
    assert models.problem == "The registry does not answer."


def test_a_start_without_the_registry_uses_the_last_good_model(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    registry.version = 2
    store(registry, tmp_path).refresh()
    registry.version = 13
    store(registry, tmp_path).refresh()
    registry.version = None
    models = store(registry, tmp_path)
    models.load_last_good()
    models.refresh()
    assert models.current is not None
    assert models.current.version == "ranker@2"


def test_a_first_start_without_the_registry_has_no_model_and_says_why(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    models = store(registry, tmp_path)
    models.load_last_good()
    models.refresh()
    assert models.current is None
    assert models.problem == "The registry does not answer."


def test_stores_of_several_aliases_have_a_last_good_model_each(tmp_path: Path) -> None:
    champion, challenger = FakeRegistry(1), FakeRegistry(2)
    store(champion, tmp_path).refresh()
    store(challenger, tmp_path, "last-good-challenger").refresh()
    started = [store(FakeRegistry(), tmp_path), store(FakeRegistry(), tmp_path, "last-good-challenger")]
    for models in started:
        models.load_last_good()
    assert [models.current and models.current.version for models in started] == ["ranker@1", "ranker@2"]


def test_each_alias_is_followed_by_a_store_of_its_own(tmp_path: Path) -> None:
    stores = ModelStore.of_aliases(["challenger", "next"], MlflowSettings(), tmp_path, 1.0)
    assert [*stores] == ["challenger", "next"]
    settings = [followed._registry.settings for followed in stores.values()]  # type: ignore[attr-defined]
    assert [followed.alias for followed in settings] == ["challenger", "next"]
