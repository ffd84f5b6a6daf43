"""Liveness, readiness and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from serving.api.dependencies import ServiceDep, json_response
from serving.shapes import Health, Readiness

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_model=Health, summary="The process is alive")
async def healthz() -> Response:
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness}},
    summary="Each dependency's state",
)
async def readyz(service: ServiceDep) -> Response:
    """503 when no feed can be answered; "degraded" when only a lower rung of the ladder can."""
    readiness = await service.readiness()
    response = json_response(readiness)
    if readiness["status"] == "unavailable":
        response.status_code = 503
    return response


@router.get("/metrics", response_class=Response, summary="Prometheus exposition")
async def metrics(service: ServiceDep) -> Response:
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
