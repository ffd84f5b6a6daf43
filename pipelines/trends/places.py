"""The places a tweet counts for."""

from __future__ import annotations

WORLD = "world"
LANGUAGE = "lang:"
"""Prefix of the lists of one language."""


def places_of(place: str | None, lang: str | None, languages: bool) -> tuple[str, ...]:
    """The world, then the country and the city of ``place``, then the language where those are listed.

    A place written ``City, Country`` (or ``City, Region``) belongs to what stands behind its last comma; one
    without a comma is a list of its own.
    """
    found = [WORLD]
    if place:
        wider = place.rpartition(",")[2].strip() if "," in place else ""
        found += [wider, place] if wider and wider != place else [place]
    if languages and lang:
        found.append(LANGUAGE + lang)
    return tuple(dict.fromkeys(found))
