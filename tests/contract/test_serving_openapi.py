"""The HTTP contract is checked in: a change of it shows as a change of ``docs/api-openapi.json``."""

from __future__ import annotations

import json
from pathlib import Path

from ingestion.api.settings import WriteSettings
from ingestion.settings import SecuritySettings
from serving.settings import ServingSettings
from stack.asgi import build

CHECKED_IN = Path(__file__).parents[2] / "docs" / "api-openapi.json"


def test_the_checked_in_openapi_is_what_the_two_apis_serve(tmp_path: Path) -> None:
    security = SecuritySettings(private_key=tmp_path / "token.pem", public_key=tmp_path / "token.pub.pem")
    served = build(WriteSettings(security=security), ServingSettings(security=security)).openapi()
    fresh = tmp_path / CHECKED_IN.name
    fresh.write_text(json.dumps(served, indent=1, ensure_ascii=False) + "\n")
    before, after = (json.loads(path.read_text()) for path in (CHECKED_IN, fresh))
    assert before == after, f"If meant: cp {fresh} {CHECKED_IN}"
