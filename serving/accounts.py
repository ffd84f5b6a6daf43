"""Accounts as they are shown: what everybody sees of one, and how a reader stands to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from serving.batch import Batch, Values, readable
from serving.shapes import User, UserViewer, rfc3339
from timelines import bodies
from timelines.edges import stands


class Account(NamedTuple):
    """What everybody sees of an account."""

    card: bodies.AccountCard
    counts: bodies.AccountCounts


@dataclass(frozen=True, slots=True)
class Accounts:
    """Queued reads of cards and counts of accounts."""

    ids: Sequence[int]
    cards: Values
    counts: Values

    @classmethod
    def queue(cls, batch: Batch, ids: Sequence[int]) -> Accounts:
        return cls(ids, batch.values("account", ids), batch.values("account_counts", ids))

    def of(self, answers: Sequence[Any]) -> dict[int, Account]:
        """The accounts that have a card."""
        stored = zip(self.ids, self.cards.of(answers), self.counts.of(answers), strict=True)
        return {
            user: Account(card, readable(bodies.decode_account_counts, counts) or bodies.AccountCounts())
            for user, card_bytes, counts in stored
            if (card := readable(bodies.decode_card, card_bytes)) is not None
        }


@dataclass(frozen=True, slots=True)
class Viewers:
    """Queued reads of how a reader stands to accounts: from command ``first`` on."""

    ids: Sequence[int]
    first: int

    @classmethod
    def queue(cls, batch: Batch, reader: int, ids: Sequence[int]) -> Viewers:
        first, keys = len(batch), batch.keys
        for key in (keys.followees(reader), keys.muted(reader), keys.blocked(reader)):
            batch.command().zmscore(key, ids)
        for user in ids:
            batch.command().zscore(keys.followees(user), reader)
        return cls(ids, first)

    def of(self, answers: Sequence[Any]) -> dict[int, UserViewer]:
        follows, muted, blocked, *followed_by = answers[self.first : self.first + 3 + len(self.ids)]
        rows = zip(self.ids, follows, followed_by, muted, blocked, strict=True)
        return {
            user: {
                "follows": stands(follow),
                "followed_by": stands(back),
                "muted": stands(mute),
                "blocked": stands(block),
            }
            for user, follow, back, mute, block in rows
        }


def seen_by(accounts: Mapping[int, Account], viewers: Mapping[int, UserViewer]) -> dict[int, User]:
    """The accounts as a reader sees them who stands to them like that."""
    return {user: _user(account, viewers[user]) for user, account in accounts.items()}


def nameless(user_id: int) -> User:
    """Stands for an account whose card has not arrived yet: known by its id alone."""
    return {
        "id": str(user_id),
        "handle": str(user_id),
        "display_name": str(user_id),
        "created_at": rfc3339(0),
        "counts": {"followers": 0, "following": 0, "tweets": 0},
        "viewer": {"follows": False, "followed_by": False, "muted": False, "blocked": False},
    }


def _user(account: Account, viewer: UserViewer) -> User:
    card, counts = account
    user: User = {
        "id": str(card.user_id),
        "handle": card.handle,
        "display_name": card.display_name,
        "created_at": rfc3339(card.created_at),
        "counts": {
            "followers": counts.followers,
            "following": counts.following,
            "tweets": counts.tweets,
        },
        "viewer": viewer,
    }
    if card.place is not None:
        user["place"] = card.place
    return user
