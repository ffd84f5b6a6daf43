"""A service that has checked a token knows it again, and no longer than it is valid."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ingestion.api.auth import TokenCheck
from ingestion.settings import SecuritySettings
from ingestion.tokens import InvalidTokenError, ensure_keys, mint


def check(folder: Path, now_s: int) -> TokenCheck:
    security = SecuritySettings(private_key=folder / "t.pem", public_key=folder / "t.pub.pem")
    return TokenCheck(security, ensure_keys(security), lambda: now_s)


def test_a_known_token_says_the_same_as_the_first_time(tmp_path: Path) -> None:
    now_s = int(time.time())
    tokens = check(tmp_path, now_s)
    token = mint(tokens.settings, 7, now_s, roles=("admin",))
    assert tokens.bearer(token) == tokens.bearer(token)
    assert set(tokens.known) == {token}


def test_a_known_token_that_has_expired_is_refused(tmp_path: Path) -> None:
    now_s = int(time.time())
    tokens = check(tmp_path, now_s)
    token = mint(tokens.settings, 7, now_s - 60, seconds=30)
    tokens.known[token] = check(tmp_path, now_s).bearer(mint(tokens.settings, 7, now_s)), now_s - 30
    with pytest.raises(InvalidTokenError, match="expired"):
        tokens.bearer(token)
    assert not tokens.known


def test_a_token_that_is_not_right_is_not_known(tmp_path: Path) -> None:
    tokens = check(tmp_path, int(time.time()))
    with pytest.raises(InvalidTokenError):
        tokens.bearer("no.token.atall")
    assert not tokens.known
