"""The development login; it is installed only where settings allow it."""

from __future__ import annotations

from fastapi import APIRouter

from ingestion.api.dependencies import Writes
from ingestion.api.shapes import AccessToken, DevelopmentLogin
from ingestion.tokens import mint

router = APIRouter(tags=["sign-in"])


@router.post("/v1/auth/dev", response_model=AccessToken)
async def development_login(login: DevelopmentLogin, service: Writes) -> AccessToken:
    """A token for any user, without a password."""
    security = service.settings.security
    token = mint(security, login.user_id, service.clock() // 1000)
    return AccessToken(access_token=token, expires_in=security.token_seconds)
