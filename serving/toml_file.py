"""Reads a TOML file into a frozen struct; what is not right with it is one sentence that names the field."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


class TomlFileError(ValueError):
    """A policy or an experiment that cannot be used: one sentence."""


def read_toml(path: Path, shape: type[T]) -> T:
    """The file as that struct.

    Raises:
        TomlFileError: it cannot be read, or is not right.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TomlFileError(f"{path.name} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise TomlFileError(f"{path.name} is not right: it is not UTF-8.") from error
    return decode_toml(text, shape, path.name)


def decode_toml(text: str, shape: type[T], name: str) -> T:
    """The text as that struct; ``name`` is what a refusal calls it.

    Raises:
        TomlFileError: not TOML, a field is unknown, missing, of another type, out of its range or NaN.
    """
    try:
        return msgspec.convert(tomllib.loads(text), shape)
    except msgspec.ValidationError as error:
        raise TomlFileError(f"{name} is not right: {_sentence(str(error))}.") from error
    except ValueError as error:
        raise TomlFileError(f"{name} is not TOML: {error}.") from error


def _sentence(refusal: str) -> str:
    """``Expected `float` <= 1.0 - at `$.a.b``` as ``a.b: expected `float` <= 1.0``."""
    what, _, place = refusal.partition(" - at `$")
    what, where = what[:1].lower() + what[1:], place.strip(".`")
    return f"{where}: {what}" if where else what
