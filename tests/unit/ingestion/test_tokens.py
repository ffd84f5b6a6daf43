"""Tokens: only ours, only for us, only in time, only of one algorithm."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from ingestion.settings import SecuritySettings
from ingestion.tokens import (
    Bearer,
    InvalidTokenError,
    SigningKeyError,
    bearer_of,
    ensure_keys,
    load_keys,
    mint,
    user_of,
)


def settings(folder: Path, **changes: Any) -> SecuritySettings:
    return SecuritySettings(private_key=folder / "t.pem", public_key=folder / "t.pub.pem", **changes)


def signed(folder: Path, **changes: Any) -> str:
    """A token signed with the right key whose claims are changed; None removes one."""
    security = settings(folder)
    now = int(time.time())
    claims = {"iss": security.issuer, "aud": security.audience, "sub": "7", "exp": now + 60} | changes
    private = ensure_keys(security).private
    assert private is not None
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, private, algorithm="EdDSA")


def test_a_token_names_the_user_it_was_made_for(tmp_path: Path) -> None:
    security = settings(tmp_path)
    assert user_of(security, ensure_keys(security), mint(security, 42, int(time.time()))) == 42


def test_only_a_token_made_for_an_audit_is_one(tmp_path: Path) -> None:
    security = settings(tmp_path)
    keys, now = ensure_keys(security), int(time.time())
    assert bearer_of(security, keys, mint(security, 42, now, audit=True)) == Bearer(42, audit=True)
    assert bearer_of(security, keys, mint(security, 42, now)) == Bearer(42, audit=False)
    assert bearer_of(security, keys, signed(tmp_path, audit="yes")) == Bearer(7, audit=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another"},
        {"aud": "another"},
        {"exp": 1},
        {"iss": None},
        {"aud": None},
        {"exp": None},
        {"sub": None},
        {"sub": "ann"},
        {"sub": "-1"},
        {"sub": str(1 << 56)},
        {"sub": "²"},
    ],
)
def test_a_token_with_a_wrong_or_missing_claim_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    token = signed(tmp_path, **changes)
    with pytest.raises(InvalidTokenError):
        user_of(settings(tmp_path), load_keys(settings(tmp_path)), token)


def test_a_token_of_another_key_or_algorithm_is_refused(tmp_path: Path) -> None:
    security = settings(tmp_path)
    keys = ensure_keys(security)
    (tmp_path / "other").mkdir()
    claims = {"iss": security.issuer, "aud": security.audience, "sub": "7", "exp": int(time.time()) + 60}
    public = security.public_key.read_text().strip().splitlines()[1]
    for token in (
        mint(settings(tmp_path / "other"), 7, int(time.time())),
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, public.ljust(64), algorithm="HS256"),
    ):
        with pytest.raises(InvalidTokenError):
            user_of(security, keys, token)


def test_keys_are_made_once_and_the_private_one_is_for_its_owner_alone(tmp_path: Path) -> None:
    security = settings(tmp_path / "keys")
    ensure_keys(security)
    made = security.private_key.read_bytes()
    ensure_keys(security)
    assert security.private_key.read_bytes() == made
    assert security.private_key.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in security.private_key.parent.iterdir()) == ["t.pem", "t.pub.pem"]


def test_the_public_key_alone_checks_tokens_and_signs_none(tmp_path: Path) -> None:
    security = settings(tmp_path)
    token = mint(security, 7, int(time.time()))
    security.private_key.unlink()
    assert user_of(security, load_keys(security), token) == 7
    with pytest.raises(SigningKeyError, match="no private key"):
        mint(security, 7, 1)


def test_a_file_that_is_no_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.pem").write_text("no key")
    with pytest.raises(SigningKeyError, match=r"t\.pem holds no key in PEM form"):
        ensure_keys(settings(tmp_path))
