"""Errors as RFC 9457 problem documents, for both HTTP APIs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
NOT_JSON = "json_invalid"
OPERATIONS = {"get", "put", "post", "delete", "patch"}


PROBLEM = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "additionalProperties": False,
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
"""What :func:`response` writes, as JSON Schema."""


@dataclass(frozen=True)
class FieldError:
    """``pointer``: ``#/text`` in the body, else ``/query/limit``, ``/path/tweet_id``, ``/header/...``."""

    pointer: str
    detail: str


class ProblemError(Exception):
    """Raised by a route to answer with a problem document."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = headers


def response(
    request: Request,
    status: int,
    detail: str,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The problem document as a response."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
    }
    if errors:
        content["errors"] = [asdict(error) for error in errors]
    return Response(
        msgspec.json.encode(content), status, dict(headers) if headers else None, media_type=MEDIA_TYPE
    )


def install(app: FastAPI) -> None:
    """Have every error of the app answered as a problem document, and its OpenAPI document say so."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        return app.openapi_schema or _with_problems(describe())

    app.openapi = openapi  # type: ignore[method-assign]
    app.exception_handler(ProblemError)(_problem)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(Exception)(_unexpected)


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document, in place: FastAPI describes errors of validation only, in a form of its own."""
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    answer = {"description": "What is wrong", "content": {MEDIA_TYPE: problem}}
    for operations in document["paths"].values():
        for method in OPERATIONS & operations.keys():
            responses = operations[method]["responses"]
            responses.pop("422", None)
            responses.update({"4XX": answer, "5XX": answer})
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    return document


async def _problem(request: Request, error: ProblemError) -> Response:
    return response(request, error.status, error.detail, error.errors, error.headers)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    found = error.errors()
    if any(item["type"] == NOT_JSON for item in found):
        return response(request, 400, "The body is not valid JSON.", [FieldError("#", "Not valid JSON.")])
    errors = [FieldError(_pointer(item["loc"]), _sentence(item["msg"])) for item in found]
    return response(request, 422, "The request has fields that are not right.", errors)


async def _http(request: Request, error: HTTPException) -> Response:
    return response(request, error.status_code, error.detail, headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    # The server logs the error itself; the client learns nothing of it.
    return response(request, 500, "The server failed to answer.")


def _pointer(location: Sequence[int | str]) -> str:
    where, *path = location
    escaped = [str(part).replace("~", "~0").replace("/", "~1") for part in path]
    return "/".join(["#", *escaped]) if where == "body" else "/".join(["", str(where), *escaped])


def _sentence(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text if text.endswith(".") else f"{text}."
