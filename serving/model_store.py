"""The model in use: followed in the registry off the request path, checked before it is used.

A background thread starts from the last model that passed its checks (kept on disk), then polls the
registry's champion. The registry may be away at any time: the model in use stays. Arms of an experiment with
models of their own have a store each, which polls their alias.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ingestion.whole_files import write_whole
from training.bundle import Bundle
from training.manifest import BundleError
from training.registry import RegistryError, champion_version, download_champion
from training.settings import MlflowSettings

logger = logging.getLogger(__name__)

LAST_GOOD_FILE = "last-good"


@dataclass(frozen=True)
class Model:
    """A checked bundle and its ``name@version``."""

    bundle: Bundle
    version: str


class Registry(Protocol):
    """Where champions come from. Both raise ``RegistryError``."""

    def champion(self) -> str:
        """``name@version`` of the champion now."""
        ...

    def download(self, destination: Path) -> tuple[Path, str]:
        """The champion's folder under ``destination`` and its ``name@version``."""
        ...


@dataclass(frozen=True)
class MlflowRegistry:
    """The registry of the training side."""

    settings: MlflowSettings

    def champion(self) -> str:
        return f"{self.settings.model_name}@{champion_version(self.settings)}"

    def download(self, destination: Path) -> tuple[Path, str]:
        return download_champion(self.settings, destination)


class ModelStore:
    """``current`` may be read from any thread; it changes by one assignment.

    ``last_good``: the file in ``folder`` that names the last model that passed its checks. Stores of one
    folder share the downloaded models, and have such a file each.
    """

    def __init__(
        self,
        registry: Registry,
        folder: Path,
        poll_seconds: float,
        load: Callable[[Path], Bundle] = Bundle.load,
        last_good: str = LAST_GOOD_FILE,
    ) -> None:
        self.current: Model | None = None
        self.problem: str | None = "No model has been loaded yet."
        self._registry = registry
        self._folder = folder
        self._poll_seconds = poll_seconds
        self._load = load
        self._last_good = folder / last_good
        self._refused: set[str] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def of_aliases(
        cls, aliases: Iterable[str], settings: MlflowSettings, folder: Path, poll_seconds: float
    ) -> dict[str, ModelStore]:
        """A store for each alias."""
        return {
            alias: cls(
                MlflowRegistry(settings.model_copy(update={"alias": alias})),
                folder,
                poll_seconds,
                last_good=f"{LAST_GOOD_FILE}-{alias}",
            )
            for alias in aliases
        }

    def start(self) -> None:
        self._thread = threading.Thread(target=self._follow, name="model-store", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end; a call to the registry that is under way is not waited for."""
        self._stop.set()

    def load_last_good(self) -> None:
        """Takes the last model that passed its checks from disk, if there is one."""
        try:
            folder, version = self._last_good.read_text().splitlines()
        except (OSError, ValueError):
            return
        self._take(self._folder / folder, version)

    def refresh(self) -> None:
        """Asks the registry once; swaps in a new champion that passes its checks."""
        try:
            champion = self._registry.champion()
            if champion in self._refused:
                return
            if self.current is not None and champion == self.current.version:
                self.problem = None
                return
            path, version = self._registry.download(self._folder)
        except (RegistryError, OSError) as error:
            self._complain(str(error))
            return
        if self._take(path, version):
            self._remember(path, version)

    def _take(self, path: Path, version: str) -> bool:
        try:
            bundle = self._load(path)
        except BundleError as error:
            self._refused.add(version)
            self._complain(f"{version} was refused: {error}")
            return False
        self.current = Model(bundle, version)
        self.problem = None
        logger.info("Model %s is in use.", version)
        return True

    def _remember(self, path: Path, version: str) -> None:
        write_whole(self._last_good, f"{path.name}\n{version}\n")

    def _complain(self, sentence: str) -> None:
        if sentence != self.problem:
            logger.warning("%s", sentence)
        self.problem = sentence

    def _follow(self) -> None:
        self.load_last_good()
        while not self._stop.is_set():
            self.refresh()
            self._stop.wait(self._poll_seconds)
