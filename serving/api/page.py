"""The feed page: static files, and for the development login whom one could sign in as."""

from __future__ import annotations

from importlib import resources
from typing import Literal

from fastapi import APIRouter, Response

from ingestion.api.problems import ProblemError
from serving.api.dependencies import ServiceDep, json_response

router = APIRouter(include_in_schema=False)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MEDIA_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "feed.css": "text/css; charset=utf-8",
    "feed.js": "text/javascript; charset=utf-8",
    "explain.js": "text/javascript; charset=utf-8",
    "element.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
PEOPLE = 12


@router.get("/")
def page() -> Response:
    return _file("index.html")


@router.get("/page/{name}")
def page_file(name: Literal["feed.css", "feed.js", "explain.js", "element.js", "icon.svg"]) -> Response:
    return _file(name)


@router.get("/v1/auth/dev/users")
async def people(service: ServiceDep) -> Response:
    """Some accounts that follow many, only where anyone may sign in as anyone."""
    if not service.dev_login:
        raise ProblemError(404, "This service has no development login.")
    return json_response({"items": await service.reads.some_readers(PEOPLE)})


def _file(name: str) -> Response:
    return Response(
        resources.files("serving").joinpath("page", name).read_bytes(),
        media_type=MEDIA_TYPES[name],
        headers={
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        },
    )
