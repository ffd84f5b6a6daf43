"""From the rows of ``retweet_cascade`` to acts: what each one made, and of which original.

The rows of one (user, second) are one act. A retweet among them makes it a retweet, else a reply makes it a
reply, else it is a tweet that mentions. See ``docs/datasets.md`` for the rules and their reasons.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Literal

from ingestion.snowflake import snowflake

Row = tuple[int, int, int, str]
"""user, target, second, kind (RT, RE or MT)."""

ACT_MACHINE = 1
IMPLIED_MACHINE = 2
KIND_ORDER = {"RT": 0, "RE": 1, "MT": 2}


@dataclass(frozen=True, slots=True)
class Act:
    """One act: ``act_id`` is the tweet's id, or the id under which the retweet appears.

    Of a retweet ``original`` and ``target`` are the tweet and its author; of a reply ``original`` is the
    tweet replied to where one is known. ``mentions`` are the accounts a reply or tweet names.
    """

    act_id: int
    ts: int
    user: int
    kind: Literal["retweet", "reply", "tweet"]
    target: int
    original: int | None
    mentions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Implied:
    """An original that nobody recorded but a retweet proves."""

    tweet_id: int
    ts: int
    author: int


@dataclass
class Originals:
    """Every author's originals in time order."""

    times: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    ids: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, author: int, ts: int, tweet_id: int) -> None:
        place = bisect_right(self.times[author], ts)
        self.times[author].insert(place, ts)
        self.ids[author].insert(place, tweet_id)

    def before(self, author: int, ts: int) -> Iterator[int]:
        """The author's originals strictly before ``ts``, newest first."""
        if author in self.times:
            for index in range(bisect_left(self.times[author], ts) - 1, -1, -1):
                yield self.ids[author][index]

    def newest(self, author: int, ts: int) -> int | None:
        """The author's newest original at or before ``ts``."""
        return next(self.before(author, ts + 1), None)


@dataclass(frozen=True)
class Cascade:
    """All acts and implied originals, each in time order."""

    acts: tuple[Act, ...]
    implied: tuple[Implied, ...]
    originals: Originals


def resolve(rows: list[Row], seen_before: Mapping[tuple[int, int, int], int]) -> Cascade:
    """Decide for every act what it is and which original it refers to.

    Args:
        rows: in any order.
        seen_before: (viewer, second, author) of a retweet that answers a recorded list -> the second at which
            the list saw the author last. An original implied by such a retweet existed by then.
    """
    originals = Originals()
    implied: list[Implied] = []
    acts: list[Act] = []
    retweeted: set[tuple[int, int]] = set()
    sequences: Counter[int] = Counter()
    ordered = sorted(rows, key=lambda row: (row[2], row[0], KIND_ORDER[row[3]], row[1]))
    for second, of_second in groupby(ordered, key=itemgetter(2)):
        ts = second * 1000
        made: list[Act] = []
        for sequence, (user, group) in enumerate(groupby(of_second, key=itemgetter(0))):
            targets = [(row[3], row[1]) for row in group]
            kind, target = targets[0]
            act_id = snowflake(ts, ACT_MACHINE, sequence)
            if kind == "RT":
                original = next(
                    (tweet for tweet in originals.before(target, ts) if (user, tweet) not in retweeted), None
                )
                if original is None:
                    born = min(seen_before.get((user, second, target), second) * 1000, ts - 1)
                    original = snowflake(born, IMPLIED_MACHINE, sequences[born])
                    sequences[born] += 1
                    originals.add(target, born, original)
                    implied.append(Implied(original, born, target))
                retweeted.add((user, original))
                made.append(Act(act_id, ts, user, "retweet", target, original, ()))
                continue
            mentions = tuple(dict.fromkeys(named for _, named in targets))
            replied = next(originals.before(target, ts), None) if kind == "RE" else None
            made.append(
                Act(act_id, ts, user, "reply" if kind == "RE" else "tweet", target, replied, mentions)
            )
        for act in made:
            if act.kind != "retweet":
                originals.add(act.user, act.ts, act.act_id)
        acts.extend(made)
    implied.sort(key=lambda tweet: (tweet.ts, tweet.tweet_id))
    return Cascade(tuple(acts), tuple(implied), originals)
