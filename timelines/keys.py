"""The Redis keys of Tideline: every key carries the hash tag of one partition.

A key is ``<prefix>:<kind>:{<partition>}:<id>`` with partition = id mod the partition count, so that a
function call on the keys of one partition runs unchanged on one node and on a cluster. The prefix is the
projection's name, where the kind belongs to one that has a name, else the namespace. Nobody formats a key
anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from timelines.settings import UNNAMED, Projections, RedisSettings

TAIL = "+"

KINDS = {
    "timelines": (
        "home",
        "outbox",
        "rebuild_lease",
        "activated",
        "followees",
        "pulled",
        "pulled_shares",
        "pulled_stamp",
        "withdrawals",
        "begun",
    ),
    "content": (
        "tweet",
        "account",
        "muted",
        "blocked",
        "blocked_by",
        "muted_words",
        "hidden_authors",
        "likes",
        "retweets",
        "opened",
    ),
    "engagement": (
        "counts",
        "account_counts",
        "popular",
        "feature:tweet_engagement",
        "feature:user_author_recent",
        "feature:tweet_showings",
        "feature:author_engagement",
    ),
    "trends": ("trends",),
}
"""What each projection is made of. Keys of any other kind are the namespace's own: no replay touches them."""


class HasKeys(Protocol):
    """Any settings that say where keys lie."""

    @property
    def namespace(self) -> str: ...
    @property
    def redis(self) -> RedisSettings: ...
    @property
    def projections(self) -> Projections: ...


@dataclass(frozen=True)
class Keyspace:
    """The keys of one deployment and namespace (``""`` stands for the live one)."""

    namespace: str
    partitions: int
    projections: Projections = UNNAMED

    @classmethod
    def of(cls, settings: HasKeys) -> Keyspace:
        """The keys that these settings mean."""
        return cls(settings.namespace, settings.redis.partitions, settings.projections)

    @property
    def prefix(self) -> str:
        """How the namespace's own keys begin."""
        return self.namespace or "tideline"

    @cached_property
    def _named(self) -> dict[str, str]:
        names = {job: self.projections.of(job) for job in KINDS}
        return {kind: names[job] for job, kinds in KINDS.items() for kind in kinds if names[job]}

    def owner(self, kind: str) -> str:
        """Whose the keys of a kind are: the name of their projection or, without one, the prefix."""
        return self._named.get(kind) or self.prefix

    def head(self, kind: str) -> str:
        """How every key of a kind begins: everything before its hash tag."""
        return f"{self.owner(kind)}:{kind}:"

    def pattern(self, kind: str) -> str:
        """What SCAN matches to find every key of a kind."""
        return self.head(kind) + "*"

    def partition(self, entity: int) -> int:
        return entity % self.partitions

    def key(self, kind: str, entity: int, *more: int) -> str:
        """The key of an entity, in the partition of its first id."""
        ids = ":".join(map(str, (entity, *more)))
        return f"{self.head(kind)}{{{entity % self.partitions}}}:{ids}"

    def keys(self, kind: str, entities: Iterable[int], ending: str = "") -> list[str]:
        """The keys of many entities of one kind."""
        prefix, partitions = self.head(kind) + "{", self.partitions
        return [f"{prefix}{entity % partitions}}}:{entity}{ending}" for entity in entities]

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
        return f"{self.head('activated')}{{{partition}}}"

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

    def hidden_authors(self, user: int) -> str:
        """ZSET of the authors of whom a reader hid or reported a tweet, score = ts_ms of the newest time."""
        return self.key("hidden_authors", user)

    def likes(self, user: int) -> str:
        """ZSET of tweet ids, score = ts_ms * 2 + active."""
        return self.key("likes", user)

    def retweets(self, user: int) -> str:
        """ZSET of original tweet ids, score = ts_ms * 2 + active."""
        return self.key("retweets", user)

    def opened(self, user: int) -> str:
        """ZSET of the tweets that a reader opened last, score = ts_ms * 2 + 1."""
        return self.key("opened", user)

    def interests(self, user: int) -> str:
        """STRING: what the batch side found that a reader is interested in (``timelines.interests``)."""
        return self.key("interests", user)

    def tweet(self, tweet_id: int) -> str:
        """STRING: the tweet's body or tombstone."""
        return self.key("tweet", tweet_id)

    def account(self, user: int) -> str:
        """STRING: the versioned author card."""
        return self.key("account", user)

    def counts(self, tweet_id: int) -> str:
        """STRING: the versioned counts of a tweet."""
        return self.key("counts", tweet_id)

    def popular(self) -> str:
        """ZSET of the tweets that gather most engagement, scored as ``timelines.popular`` says."""
        return self.head("popular") + "{popular}"

    def account_counts(self, user: int) -> str:
        """STRING: the versioned counts of an account."""
        return self.key("account_counts", user)

    def pulled(self) -> str:
        """SET of the authors that are pulled at read."""
        return self.head("pulled") + "{pulled}"

    def pulled_shares(self) -> str:
        """SET of "author:share": shares of spread authors' followers who need them merged at read."""
        return self.head("pulled_shares") + "{pulled}"

    def pulled_stamp(self) -> str:
        """STRING: another value after each change of ``pulled``."""
        return self.head("pulled_stamp") + "{pulled}"

    def withdrawals(self) -> str:
        """STRING: a number that changes whenever a retweet is taken back."""
        return self.head("withdrawals") + "{pulled}"

    def begun(self) -> str:
        """STRING: there since the job that fills the store began with the log; an emptied store lacks it."""
        return self.head("begun") + "{pulled}"

    def marked(self, target: str) -> str:
        """ZSET of marked ids of ``target`` (tweet or account), scored by ``marks.score``."""
        return f"{self.head('marked')}{{marks}}:{target}"

    def trends(self, place: str, window: str) -> str:
        """STRING: the versioned trend list of a place (``world`` for all) over a window (``1h``)."""
        return f"{self.head('trends')}{{{place}}}:{window}"
