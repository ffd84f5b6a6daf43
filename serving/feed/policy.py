"""The feed policy: every figure of selection, in one versioned TOML file that is complete or refused."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from serving.toml_file import decode_toml, read_toml
from timelines.lately import SEEN, SERVED

DEFAULT = "default.toml"

Count = Annotated[int, Meta(ge=1, le=10_000)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Minutes = Annotated[float, Meta(ge=0, le=SERVED.stretch_ms / 60_000)]
Hours = Annotated[float, Meta(ge=0, le=SEEN.stretch_ms / 3_600_000)]


class Budgets(Struct, frozen=True, forbid_unknown_fields=True):
    """How many candidates the light ranker sees and how many the heads score: in full, and reduced."""

    candidates: Count
    heads: Count
    reduced_candidates: Count
    reduced_heads: Count

    def __post_init__(self) -> None:
        if self.heads > self.candidates:
            raise ValueError("heads is more than candidates")
        if self.reduced_heads > self.reduced_candidates:
            raise ValueError("reduced_heads is more than reduced_candidates")
        if self.reduced_candidates > self.candidates:
            raise ValueError("reduced_candidates is more than candidates")
        if self.reduced_heads > self.heads:
            raise ValueError("reduced_heads is more than heads")


class Network(Struct, frozen=True, forbid_unknown_fields=True):
    """``out_of_network``: share of accounts not followed among the first slots, however many these are."""

    out_of_network: Fraction


class Diversity(Struct, frozen=True, forbid_unknown_fields=True):
    """The k-th item of an author or a topic counts ``max(floor, decay ** k)``; ``carry_minutes`` of pages."""

    author_decay: Fraction
    author_floor: Fraction
    topic_decay: Fraction
    topic_floor: Fraction
    carry_minutes: Minutes


class Fatigue(Struct, frozen=True, forbid_unknown_fields=True):
    """A just hidden author counts ``fresh``; the rest to 1 comes back by half each ``half_life_days``."""

    fresh: Fraction
    half_life_days: Annotated[float, Meta(gt=0, le=3650)]


class Exploration(Struct, frozen=True, forbid_unknown_fields=True):
    """``share`` of the requests gets one of the ``depth`` candidates below the page into its lower half."""

    share: Fraction
    depth: Annotated[int, Meta(ge=0, le=10_000)]


class Memory(Struct, frozen=True, forbid_unknown_fields=True):
    """How long seen and merely served items are not shown again."""

    seen_hours: Hours
    served_minutes: Minutes


class Age(Struct, frozen=True, forbid_unknown_fields=True):
    """``max_hours``: the oldest candidate that is ranked."""

    max_hours: Annotated[float, Meta(gt=0, le=365 * 24)]


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole policy file; ``version`` is its name in answers, impressions and metrics."""

    format: Literal[1]
    version: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9.-]{0,63}\Z")]
    budgets: Budgets
    network: Network
    diversity: Diversity
    fatigue: Fatigue
    exploration: Exploration
    memory: Memory
    age: Age


@cache
def default_policy() -> Policy:
    """The policy that comes with the package."""
    text = resources.files("serving.feed").joinpath("policies", DEFAULT).read_text(encoding="utf-8")
    return decode_toml(text, Policy, DEFAULT)


def load_policy(path: Path) -> Policy:
    """The policy of a file.

    Raises:
        TomlFileError: the file cannot be read or is not a complete policy; one sentence names the field.
    """
    return read_toml(path, Policy)
