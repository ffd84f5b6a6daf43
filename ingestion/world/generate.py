"""Generates a synthetic world and writes its files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.world import tables
from ingestion.world.attack import plant
from ingestion.world.days import Burst, Originals, make_bursts, make_deletes, make_originals
from ingestion.world.people import Follows, Ints, People, make_follows, make_people
from ingestion.world.plan import WorldError, WorldPlan
from ingestion.world.reading import Log, Readers
from ingestion.world.reporting import Tempers, make_tempers, report_chances
from ingestion.world.schema import FILES, FORMAT_VERSION
from ingestion.world.writing import Vocabulary, make_vocabulary

ROW_GROUP = 20_000


@dataclass(frozen=True)
class World:
    """The tables of a world by file stem (see ``schema.py``), each in event-time order."""

    plan: WorldPlan
    tables: Mapping[str, Any]

    @property
    def rows(self) -> dict[str, int]:
        return {stem: table.num_rows for stem, table in self.tables.items()}


@dataclass(frozen=True)
class Ground:
    """What is there before anybody reads: who lives, follows, and writes what when.

    ``rng`` are the streams that the rest of the world is drawn from: readers', words', attackers', clients'.
    """

    plan: WorldPlan
    people: People
    tempers: Tempers
    follows: Follows
    bursts: tuple[Burst, ...]
    originals: Originals
    deleted_ms: Ints
    vocabulary: Vocabulary
    rng: Mapping[str, np.random.Generator]

    def world(self, log: Log) -> World:
        """The tables of a world whose readers did what ``log`` says."""
        plan, people, originals, words = self.plan, self.people, self.originals, self.rng["words"]
        retweets = tables.retweets(originals, log, plan, words)
        shown = np.asarray(log.shown, dtype=np.int64).reshape(-1, 5)
        chances = report_chances(plan.reporting, self.tempers, shown[:, 2], *tables.engaging(log))
        columns = {
            "accounts": tables.accounts(plan, people),
            "follows": tables.follows(plan, self.follows),
            "tweets": tables.tweets(plan, people, originals, log, self.vocabulary, words),
            "retweets": retweets,
            "likes": tables.likes(originals, log, plan, words),
            "deletes": tables.deletes(plan, originals, self.deleted_ms),
            "impressions": tables.impressions(originals, log),
            "reports": tables.reports(plan, originals, shown, chances, self.rng["clients"]),
            "truth_impressions": tables.truth(originals, log, chances),
            "truth_bursts": tables.bursts(self.bursts, self.vocabulary, originals),
            "truth_users": tables.users(people, self.follows),
            "truth_attacks": {"role": [], "user_id": [], "tweet_id": []},
        }
        made = {stem: _table(stem, values) for stem, values in columns.items()}
        return World(plan, plant(plan, made, self.rng["attackers"]) if plan.attackers else made)


def settle(plan: WorldPlan) -> Ground:
    """The ground of the plan's world; the same plan gives the same."""
    streams = np.random.SeedSequence(plan.seed).spawn(9)
    rng = [np.random.default_rng(stream) for stream in streams]
    people = make_people(plan, rng[0])
    follows = make_follows(plan, people, rng[1])
    bursts = make_bursts(plan, rng[2])
    originals = make_originals(plan, people, bursts, rng[3])
    deleted_ms = make_deletes(plan, originals, rng[4])
    vocabulary = make_vocabulary(plan.topics, len(bursts), rng[6])
    tempers = make_tempers(plan.users, rng[8])
    rest = {"readers": rng[5], "words": rng[6], "attackers": rng[7], "clients": rng[8]}
    return Ground(plan, people, tempers, follows, bursts, originals, deleted_ms, vocabulary, rest)


def generate(plan: WorldPlan) -> World:
    """The world that follows from the plan; the same plan gives the same tables."""
    ground = settle(plan)
    readers = Readers(
        plan, ground.people, ground.follows, ground.originals, ground.deleted_ms, ground.rng["readers"]
    )
    return ground.world(readers.run())


def write(world: World, directory: Path) -> None:
    """Write one Parquet file per table; a folder half written does not replace a whole one.

    Raises:
        WorldError: the folder holds something else than a world.
    """
    directory = directory.absolute()
    require_world_folder(directory)
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    plan = world.plan
    described = {
        "tideline.world.format": FORMAT_VERSION,
        "tideline.world.seed": str(plan.seed),
        "tideline.world.users": str(plan.users),
        "tideline.world.days": str(plan.days),
    }
    for stem, table in world.tables.items():
        pq.write_table(
            table.replace_schema_metadata(described), partial / f"{stem}.parquet", row_group_size=ROW_GROUP
        )
    shutil.rmtree(directory, ignore_errors=True)
    partial.rename(directory)


def require_world_folder(directory: Path) -> None:
    """Raise ``WorldError`` unless ``directory`` is new, empty or holds a world: writing replaces it."""
    if directory.exists() and not directory.is_dir():
        raise WorldError(f"{directory} is a file: name a folder for the world.")
    known = {f"{stem}.parquet" for stem in FILES}
    found = {path.name for path in directory.glob("*")}
    others = sorted(found - known)
    # An older world may have had other tables.
    if others and not (found >= known and all(name.endswith(".parquet") for name in others)):
        raise WorldError(f"{directory} holds {others[0]}, which is no world's: name a folder of its own.")


def _table(stem: str, columns: tables.Columns) -> Any:
    schema = FILES[stem]
    table = pa.table(
        {name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema
    )
    return table.sort_by([("ts", "ascending")]) if stem in ("follows", "likes", "retweets") else table
