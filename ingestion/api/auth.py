"""Who the bearer of a request's token is; the ranking API depends on it too."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ingestion.api.problems import ProblemError
from ingestion.settings import SecuritySettings
from ingestion.tokens import Bearer, InvalidTokenError, Keys, bearer_until, ensure_keys

_bearer = HTTPBearer(auto_error=False)


KNOWN_TOKENS = 1 << 14


@dataclass(frozen=True)
class TokenCheck:
    """The settings and keys that tokens are checked with.

    A signature is checked once: up to ``KNOWN_TOKENS`` that were right are known until they expire.
    """

    settings: SecuritySettings
    keys: Keys
    now_s: Callable[[], float] = time.time
    known: dict[str, tuple[Bearer, int]] = field(default_factory=dict, repr=False)

    def bearer(self, token: str) -> Bearer:
        """Whom a token speaks for.

        Raises:
            InvalidTokenError: it is not right, or right no longer.
        """
        bearer, expires_s = self.known.get(token, (None, 0))
        if bearer is not None and self.now_s() < expires_s:
            return bearer
        self.known.pop(token, None)
        bearer, expires_s = bearer_until(self.settings, self.keys, token)
        if len(self.known) >= KNOWN_TOKENS:
            self.known.clear()
        self.known[token] = bearer, expires_s
        return bearer


def install(app: FastAPI, settings: SecuritySettings) -> None:
    """Give an app what its routes check tokens with (keys are made where there are none).

    Raises:
        SigningKeyError: the key files cannot be read or written.
    """
    app.state.token_check = TokenCheck(settings, ensure_keys(settings))


def current_user(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> int:
    """The user id that the request's bearer token proves; 401 without a valid one."""
    return current_bearer(request, credentials).user


def current_bearer(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Bearer:
    """Whom the request's bearer token speaks for; 401 without a valid one."""
    if credentials is None:
        raise _unauthorized("This needs a bearer token.", "Bearer")
    check: TokenCheck = request.app.state.token_check
    try:
        return check.bearer(credentials.credentials)
    except InvalidTokenError as error:
        raise _unauthorized(str(error), 'Bearer error="invalid_token"') from error


CurrentUser = Annotated[int, Depends(current_user)]


def _unauthorized(detail: str, challenge: str) -> ProblemError:
    return ProblemError(401, detail, headers={"WWW-Authenticate": challenge})
