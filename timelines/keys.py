"""The Redis keys of Tideline: every key carries the hash tag of one partition.

A key is ``<namespace>:<kind>:{<partition>}:<id>`` with partition = id mod the partition count, so that a
function call on the keys of one partition runs unchanged on one node and on a cluster. Nobody formats a key
anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TAIL = "+"


@dataclass(frozen=True)
class Keyspace:
    """The keys of one deployment and namespace (``""`` stands for the live one)."""

    namespace: str
    partitions: int

    @property
    def prefix(self) -> str:
        return self.namespace or "tideline"

    def partition(self, entity: int) -> int:
        return entity % self.partitions

    def key(self, kind: str, entity: int, *more: int) -> str:
        """The key of an entity, in the partition of its first id."""
        ids = ":".join(map(str, (entity, *more)))
        return f"{self.prefix}:{kind}:{{{entity % self.partitions}}}:{ids}"

    def keys(self, kind: str, entities: Iterable[int], ending: str = "") -> list[str]:
        """The keys of many entities of one kind."""
        prefix, partitions = f"{self.prefix}:{kind}:{{", self.partitions
        return [f"{prefix}{entity % partitions}}}:{entity}{ending}" for entity in entities]

    def pair_keys(self, kind: str, pairs: Iterable[Sequence[int]]) -> list[str]:
        """The keys of many pairs of one kind, each in the partition of its first id."""
        prefix, partitions = f"{self.prefix}:{kind}:{{", self.partitions
        return [f"{prefix}{first % partitions}}}:{first}:{second}" for first, second in pairs]

    def home(self, user: int) -> str:
        """STRING: the packed home timeline of a reader, as it was last settled."""
        return self.key("home", user)

    def home_tail(self, user: int) -> str:
        """STRING: what was appended to it since; the functions find the one by the other's key."""
        return self.home(user) + TAIL

    def outbox(self, author: int) -> str:
        """STRING: the packed newest appearances an author made."""
        return self.key("outbox", author)

    def rebuild_lease(self, user: int) -> str:
        """STRING: the token of the one process that rebuilds a reader's home timeline; it expires soon."""
        return self.key("rebuild_lease", user)

    def activated(self, partition: int) -> str:
        """SET: the readers of a partition who ever had a home timeline."""
        return f"{self.prefix}:activated:{{{partition}}}"

    def followees(self, user: int) -> str:
        """ZSET of followee ids, score = ts_ms * 2 + active."""
        return self.key("followees", user)

    def muted(self, user: int) -> str:
        """ZSET of the accounts a reader mutes, score = ts_ms * 2 + active."""
        return self.key("muted", user)

    def blocked(self, user: int) -> str:
        """ZSET of the accounts a reader blocks, score = ts_ms * 2 + active."""
        return self.key("blocked", user)

    def blocked_by(self, user: int) -> str:
        """ZSET of the accounts that block a reader, score = ts_ms * 2 + active."""
        return self.key("blocked_by", user)

    def muted_words(self, user: int) -> str:
        """STRING: the versioned words a reader mutes."""
        return self.key("muted_words", user)

    def likes(self, user: int) -> str:
        """ZSET of tweet ids, score = ts_ms * 2 + active."""
        return self.key("likes", user)

    def retweets(self, user: int) -> str:
        """ZSET of original tweet ids, score = ts_ms * 2 + active."""
        return self.key("retweets", user)

    def tweet(self, tweet_id: int) -> str:
        """STRING: the tweet's body or tombstone."""
        return self.key("tweet", tweet_id)

    def account(self, user: int) -> str:
        """STRING: the versioned author card."""
        return self.key("account", user)

    def counts(self, tweet_id: int) -> str:
        """STRING: the versioned counts of a tweet."""
        return self.key("counts", tweet_id)

    def account_counts(self, user: int) -> str:
        """STRING: the versioned counts of an account."""
        return self.key("account_counts", user)

    def pulled(self) -> str:
        """SET of the authors that are pulled at read."""
        return f"{self.prefix}:pulled:{{pulled}}"

    def pulled_shares(self) -> str:
        """SET of "author:share": shares of spread authors' followers who need them merged at read."""
        return f"{self.prefix}:pulled_shares:{{pulled}}"

    def pulled_stamp(self) -> str:
        """STRING: another value after each change of ``pulled``."""
        return f"{self.prefix}:pulled_stamp:{{pulled}}"

    def withdrawals(self) -> str:
        """STRING: a number that changes whenever a retweet is taken back."""
        return f"{self.prefix}:withdrawals:{{pulled}}"

    def marked(self, target: str) -> str:
        """ZSET of marked ids of ``target`` (tweet or account), scored by ``marks.score``."""
        return f"{self.prefix}:marked:{{marks}}:{target}"

    def trends(self, place: str, window: str) -> str:
        """STRING: the versioned trend list of a place (``world`` for all) over a window (``1h``)."""
        return f"{self.prefix}:trends:{{{place}}}:{window}"
