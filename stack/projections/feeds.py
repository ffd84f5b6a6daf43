"""Whether feeds that the API reads from given projections are what the log means."""

from __future__ import annotations

import asyncio
import time

from ingestion.tokens import mint
from stack.errors import UserError
from stack.settings import ApiSection
from stack.verify.compare import Difference
from stack.verify.verify import Verdict, VerifySettings, fold_log, verify
from timelines.settings import Projections

ROUNDS = 3
"""How often feeds that differ are read again: what was written since the log was folded is no difference."""
READERS_AT_ONCE = 16


def require_right_feeds(
    url: str, namespace: str, projections: Projections, from_ms: int | None, at_most: int | None
) -> Verdict:
    """Compare feeds, of ``at_most`` readers, with the fold of the log; what the first round found.

    Args:
        url: an API that reads these projections.
        from_ms: the moment (UTC) from which the timelines were built; None for the beginning.

    Raises:
        UserError: some feeds still differ when they are read again.
    """
    settings = VerifySettings(namespace=namespace, projections=projections, api=ApiSection(url=url))

    def token_of(user: int) -> str:
        return mint(settings.security, user, int(time.time()), audit=True)

    def told(step: str, done: int, total: int) -> None:
        pass

    def read(chosen: list[int] | None) -> tuple[Verdict, dict[int, Difference]]:
        fold = fold_log(settings, told, from_ms)
        limit = at_most if chosen is None else None
        return asyncio.run(verify(settings, fold, limit, token_of, READERS_AT_ONCE, told, chosen))

    first, wrong = read(None)
    for _ in range(ROUNDS - 1):
        if wrong:
            _, wrong = read(sorted(wrong))
    if not wrong:
        return first
    reader, difference = next(iter(wrong.items()))
    raise UserError(
        f"{len(wrong)} of {first.viewers} feeds are not what the log means (reader {reader}: {difference}); "
        "what was served is still served."
    )
