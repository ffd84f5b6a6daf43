"""What routes depend on: the open service, the reader the token names, and JSON without validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ingestion.api.auth import current_bearer
from ingestion.api.problems import ProblemError
from ingestion.tokens import Bearer
from serving.service import Service


async def service_of(request: Request) -> Service:
    """The service that the app's lifespan opened.

    Asynchronous, as all here: FastAPI sends every synchronous dependency through its thread pool.
    """
    service: Service = request.app.state.serving
    return service


ServiceDep = Annotated[Service, Depends(service_of)]


async def bearer_of(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> Bearer:
    """Whom the token speaks for; 401 without a valid one."""
    return current_bearer(request, credentials)


BearerDep = Annotated[Bearer, Depends(bearer_of)]


async def reader_of(bearer: BearerDep) -> int:
    """The reader that the token names; 401 without a valid one."""
    return bearer.user


ReaderDep = Annotated[int, Depends(reader_of)]


async def admin_of(bearer: BearerDep) -> int:
    """The operator that the token names; 403 without the role."""
    if "admin" not in bearer.roles:
        raise ProblemError(403, "This needs the role admin.")
    return bearer.user


AdminDep = Annotated[int, Depends(admin_of)]


def json_response(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    """``content`` is built by code whose types say its shape, so it is encoded as it is."""
    return Response(orjson.dumps(content), media_type="application/json", headers=headers)
