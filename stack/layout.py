"""Where the local stack keeps its files, all below one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ingestion.settings import ADDRESSES_FILE


@dataclass(frozen=True)
class Layout:
    """``home`` is absolute: servers and jobs run in folders of their own."""

    home: Path

    @property
    def addresses(self) -> Path:
        return self.home / ADDRESSES_FILE

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def plan(self) -> Path:
        """What the supervisor was asked to run."""
        return self.run / "plan.json"

    @property
    def state(self) -> Path:
        """What the supervisor says of its servers."""
        return self.run / "state.json"

    @property
    def jobs(self) -> Path:
        """The Flink jobs that should be running."""
        return self.home / "flink" / "jobs.json"

    @property
    def projections(self) -> Path:
        """Which projections are served, and which are to be taken away."""
        return self.home / "projections.json"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def data(self, name: str) -> Path:
        return self.home / name
