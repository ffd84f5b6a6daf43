"""Which projections each namespace serves, and which lie beside them: remembered in one file of the stack."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ingestion.whole_files import write_whole
from stack.layout import Layout
from timelines.settings import Projections


class Standing(msgspec.Struct, frozen=True):
    """The projections of a namespace.

    ``served`` names those that are read, by job; what is not named lies under the namespace. ``left`` are
    (job, name) of those that are not read: being built, given up, or replaced. They are to be taken away.
    """

    served: dict[str, str] = {}
    left: tuple[tuple[str, str], ...] = ()

    @property
    def projections(self) -> Projections:
        """As the settings name them."""
        return Projections(**self.served)

    def building(self, name: str, jobs: tuple[str, ...]) -> Standing:
        """With a projection of these jobs begun beside what is served."""
        begun = tuple((job, name) for job in jobs)
        return msgspec.structs.replace(self, left=(*self.left, *begun))

    def swapped(self, name: str, jobs: tuple[str, ...]) -> Standing:
        """With the projection of that name served, and what these jobs wrote before left."""
        replaced = tuple((job, self.served.get(job, "")) for job in jobs)
        left = tuple(known for known in self.left if known[1] != name)
        return Standing(self.served | dict.fromkeys(jobs, name), (*left, *replaced))

    def taken_away(self, job: str, name: str) -> Standing:
        """With one of those left gone."""
        return msgspec.structs.replace(self, left=tuple(known for known in self.left if known != (job, name)))

    def names(self) -> set[str]:
        """Every name that is in use."""
        return set(self.served.values()) | {name for _, name in self.left}


@dataclass(frozen=True)
class Ledger:
    """The file. It is replaced as a whole: whatever dies, it says what was true before or after."""

    layout: Layout

    def of(self, namespace: str) -> Standing:
        """What is known of a namespace; nothing is named until its first replay."""
        return self._all().get(namespace, Standing())

    def keep(self, namespace: str, standing: Standing) -> Standing:
        """Remember it from now on."""
        write_whole(self.layout.projections, msgspec.json.encode(self._all() | {namespace: standing}))
        return standing

    def _all(self) -> dict[str, Standing]:
        try:
            return msgspec.json.decode(self.layout.projections.read_bytes(), type=dict[str, Standing])
        except FileNotFoundError:
            return {}
