"""Follows, mutes, blocks and muted words: transactions of the records, each read back at once.

The records acknowledge; the outbox brings the change to the log, and the stream jobs to every projection.
"""

from __future__ import annotations

from fastapi import APIRouter

from ingestion.api import effects
from ingestion.api.auth import CurrentUser
from ingestion.api.dependencies import Writes
from ingestion.api.problems import FieldError, ProblemError
from ingestion.api.service import WriteService
from ingestion.api.shapes import MutedWords, UserId
from records.changes import EdgeChange, WordsChange
from records.relations import BlockedError, FollowLimitError

router = APIRouter(tags=["relations"])


@router.put("/v1/users/{user_id}/follow", status_code=204)
async def follow(user_id: UserId, user: CurrentUser, service: Writes) -> None:
    """Follow an account."""
    await _require_other(service, user, user_id, "Nobody follows themselves.")
    most = service.settings.writes.follows
    try:
        changes = await service.record(service.relations.follow(user, user_id, service.clock(), most))
    except FollowLimitError as error:
        raise ProblemError(409, str(error)) from error
    except BlockedError as error:
        raise ProblemError(403, "One of you blocks the other.") from error
    if changes:
        await _apply(service, changes)
        await service.backfill(user, user_id)


@router.delete("/v1/users/{user_id}/follow", status_code=204)
async def unfollow(user_id: UserId, user: CurrentUser, service: Writes) -> None:
    """Follow an account no longer: its tweets leave the feed at once."""
    known = await service.look(service.targets.follows(user, user_id))
    now = service.clock()
    await _apply(service, await service.record(service.relations.unfollow(user, user_id, now, known=known)))


@router.put("/v1/users/{user_id}/mute", status_code=204)
async def mute(user_id: UserId, user: CurrentUser, service: Writes) -> None:
    """See nothing of an account in one's feed; it does not learn of it."""
    await _require_other(service, user, user_id, "Nobody mutes themselves.")
    now = service.clock()
    await _apply(service, await service.record(service.relations.mute(user, user_id, now, active=True)))


@router.delete("/v1/users/{user_id}/mute", status_code=204)
async def unmute(user_id: UserId, user: CurrentUser, service: Writes) -> None:
    """See a muted account again."""
    now = service.clock()
    await _apply(service, await service.record(service.relations.mute(user, user_id, now, active=False)))


@router.put("/v1/users/{user_id}/block", status_code=204)
async def block(user_id: UserId, user: CurrentUser, service: Writes) -> None:
    """Neither sees or follows the other from now on."""
    await _require_other(service, user, user_id, "Nobody blocks themselves.")
    await _apply(service, await service.record(service.relations.block(user, user_id, service.clock())))


@router.delete("/v1/users/{user_id}/block", status_code=204)
async def unblock(user_id: UserId, user: CurrentUser, service: Writes) -> None:
    """Lift a block; follows that it ended stay ended."""
    await _apply(service, await service.record(service.relations.unblock(user, user_id, service.clock())))


@router.get("/v1/users/me/muted-words", response_model=MutedWords)
async def muted_words(user: CurrentUser, service: Writes) -> MutedWords:
    """The words and hashtags kept out of one's feed."""
    return MutedWords(words=list(await service.record(service.relations.muted_words(user))))


@router.put("/v1/users/me/muted-words", status_code=204)
async def mute_words(words: MutedWords, user: CurrentUser, service: Writes) -> None:
    """Replace the words and hashtags kept out of one's feed."""
    unique = tuple(dict.fromkeys(words.words))
    await _apply(service, await service.record(service.relations.mute_words(user, unique, service.clock())))


async def _require_other(service: WriteService, user: int, other: int, refusal: str) -> None:
    if user == other:
        raise ProblemError(422, refusal, [FieldError("/path/user_id", "This is your own account.")])
    if not await service.account_exists(other):
        raise ProblemError(404, f"There is no user {other}.")


async def _apply(service: WriteService, changes: list[EdgeChange] | list[WordsChange]) -> None:
    if not changes:
        return

    def put(pipe: object) -> None:
        for change in changes:
            effects.relation_changed(pipe, service.keys, change)

    await service.apply(put)
