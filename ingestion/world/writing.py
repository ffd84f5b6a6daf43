"""The words of a world: made-up vocabularies, texts and hashtags per topic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SYLLABLES = tuple(consonant + vowel for consonant in "bcdfghjklmnprstvz" for vowel in "aeio")
COMMON = (
    "the",
    "a",
    "and",
    "of",
    "to",
    "in",
    "is",
    "it",
    "on",
    "for",
    "with",
    "this",
    "now",
    "so",
    "my",
    "we",
)
TEXT_LIMIT = 280


@dataclass(frozen=True)
class Vocabulary:
    """``words[topic]`` and ``tags[topic]``, most frequent first; no word belongs to two topics."""

    words: tuple[tuple[str, ...], ...]
    tags: tuple[tuple[str, ...], ...]
    burst_tags: tuple[str, ...]


def make_vocabulary(topics: int, bursts: int, rng: np.random.Generator) -> Vocabulary:
    """Draw distinct words until every topic has its own."""
    per_topic, tags = 120, 8
    needed = topics * (per_topic + tags) + bursts
    made: dict[str, None] = {}
    while len(made) < needed:
        sizes = rng.integers(2, 5, needed)
        picks = rng.integers(0, len(SYLLABLES), (needed, 4))
        for size, row in zip(sizes.tolist(), picks.tolist(), strict=True):
            word = "".join(SYLLABLES[pick] for pick in row[:size])
            if word not in COMMON:
                made[word] = None
    words = iter(made)

    def take(count: int) -> tuple[str, ...]:
        return tuple(next(words) for _ in range(count))

    return Vocabulary(
        tuple(take(per_topic) for _ in range(topics)), tuple(take(tags) for _ in range(topics)), take(bursts)
    )


def write_texts(
    vocabulary: Vocabulary,
    topic: npt.NDArray[np.int64],
    burst: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[list[str], list[list[str]]]:
    """A text and its hashtags for every tweet.

    Args:
        topic: [n] the tweet's topic.
        burst: [n] index of the burst whose hashtag it carries, or -1.
    """
    count, longest = len(topic), 22
    sizes = rng.integers(4, longest, count)
    # A squared uniform draw favours the first words of a list.
    ranks = rng.random((count, longest)) ** 2
    common = rng.random((count, longest)) < 0.4
    tagged = rng.random(count) < 0.45
    tag_ranks = rng.random((count, 2)) ** 2
    two = rng.random(count) < 0.2
    texts, tags = [], []
    for index in range(count):
        own = vocabulary.words[topic[index]]
        picked = [
            COMMON[int(rank * len(COMMON))] if usual else own[int(rank * len(own))]
            for rank, usual in zip(
                ranks[index, : sizes[index]].tolist(), common[index, : sizes[index]].tolist(), strict=True
            )
        ]
        named: dict[str, None] = {}
        if tagged[index]:
            mine = vocabulary.tags[topic[index]]
            for rank in tag_ranks[index, : 1 + int(two[index])].tolist():
                named[mine[int(rank * len(mine))]] = None
        if burst[index] >= 0:
            named[vocabulary.burst_tags[burst[index]]] = None
        texts.append(" ".join([*picked, *(f"#{tag}" for tag in named)])[:TEXT_LIMIT])
        tags.append(list(named))
    return texts, tags
