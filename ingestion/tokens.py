"""Bearer tokens: JWTs signed with Ed25519; one algorithm, and every claim is checked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ingestion.settings import SecuritySettings

ALGORITHMS = ["EdDSA"]
REQUIRED = ["iss", "aud", "exp", "sub"]
LARGEST_USER = 1 << 56


class SigningKeyError(RuntimeError):
    """The key files cannot be read or written."""


class InvalidTokenError(ValueError):
    """The token does not prove who its bearer is; one sentence says why."""


@dataclass(frozen=True)
class Keys:
    """``private`` is None where tokens are only checked."""

    public: Ed25519PublicKey
    private: Ed25519PrivateKey | None


@dataclass(frozen=True)
class Bearer:
    """Who a token speaks for; with ``audit`` somebody only checks what this user would see.

    ``roles`` open the admin routes.
    """

    user: int
    audit: bool
    roles: frozenset[str] = frozenset()


def ensure_keys(settings: SecuritySettings) -> Keys:
    """The keys of the settings' files; both files are made where neither is there.

    Raises:
        SigningKeyError: a file cannot be read, written or is no Ed25519 key.
    """
    if not settings.private_key.exists() and not settings.public_key.exists():
        _generate(settings)
    return load_keys(settings)


def load_keys(settings: SecuritySettings) -> Keys:
    """The keys of the settings' files: the public one alone is enough to check tokens.

    Raises:
        SigningKeyError: a file cannot be read or is no Ed25519 key.
    """
    if settings.private_key.exists():
        private = _read(settings.private_key, private=True)
        if isinstance(private, Ed25519PrivateKey):
            return Keys(private.public_key(), private)
        raise SigningKeyError(f"{settings.private_key} is not an Ed25519 key.")
    public = _read(settings.public_key, private=False)
    if not isinstance(public, Ed25519PublicKey):
        raise SigningKeyError(f"{settings.public_key} is not an Ed25519 key.")
    return Keys(public, None)


def mint(
    settings: SecuritySettings,
    user: int,
    now_s: int,
    seconds: int | None = None,
    audit: bool = False,
    roles: Sequence[str] = (),
) -> str:
    """A token that says its bearer is ``user``, signed with the settings' key (made if there is none).

    Args:
        now_s: seconds since 1970.
        seconds: how long it is valid; the settings' ``token_seconds`` unless given.
        audit, roles: see :class:`Bearer`.

    Raises:
        SigningKeyError: there is no private key to sign with.
    """
    keys = ensure_keys(settings)
    if keys.private is None:
        raise SigningKeyError(f"There is no private key at {settings.private_key} to sign a token with.")
    claims: dict[str, str | int | list[str]] = {
        "iss": settings.issuer,
        "aud": settings.audience,
        "sub": str(user),
        "iat": now_s,
        "exp": now_s + (settings.token_seconds if seconds is None else seconds),
    }
    if audit:
        claims["audit"] = True
    if roles:
        claims["roles"] = sorted(roles)
    return jwt.encode(claims, keys.private, algorithm=ALGORITHMS[0])


def user_of(settings: SecuritySettings, keys: Keys, token: str) -> int:
    """The user that a token names; see :func:`bearer_of`."""
    return bearer_of(settings, keys, token).user


def bearer_of(settings: SecuritySettings, keys: Keys, token: str) -> Bearer:
    """Whom a token speaks for.

    Raises:
        InvalidTokenError: its signature, issuer, audience, expiry or subject is not right.
    """
    return bearer_until(settings, keys, token)[0]


def bearer_until(settings: SecuritySettings, keys: Keys, token: str) -> tuple[Bearer, int]:
    """Whom a token speaks for, and the second since 1970 at which it expires; see :func:`bearer_of`."""
    try:
        claims = jwt.decode(
            token,
            keys.public,
            algorithms=ALGORITHMS,
            issuer=settings.issuer,
            audience=settings.audience,
            options={"require": REQUIRED},
        )
    except jwt.ExpiredSignatureError as error:
        raise InvalidTokenError("The token has expired.") from error
    except jwt.InvalidTokenError as error:
        raise InvalidTokenError("The token is not valid.") from error
    subject = claims["sub"]
    if not (subject.isascii() and subject.isdigit() and len(subject) <= 20 and int(subject) < LARGEST_USER):
        raise InvalidTokenError("The token names no user.")
    roles = claims.get("roles", [])
    if not (isinstance(roles, list) and all(isinstance(role, str) for role in roles)):
        raise InvalidTokenError("The token's roles are no list of names.")
    return Bearer(int(subject), claims.get("audit") is True, frozenset(roles)), int(claims["exp"])


def _generate(settings: SecuritySettings) -> None:
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        _write_once(settings.private_key, pem, 0o600)
        # Of the key that stays, which may be that of another process.
        public = load_keys(settings).public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        _write_once(settings.public_key, public, 0o644)
    except OSError as error:
        raise SigningKeyError(f"The keys cannot be written to {settings.private_key.parent}.") from error


def _write_once(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all; where several processes make the keys at once, the first one's stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(partial, path)
    finally:
        partial.unlink()


def _read(path: Path, *, private: bool) -> object:
    try:
        content = path.read_bytes()
        if private:
            return serialization.load_pem_private_key(content, password=None)
        return serialization.load_pem_public_key(content)
    except OSError as error:
        raise SigningKeyError(f"The key {path} cannot be read.") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SigningKeyError(f"{path} holds no key in PEM form.") from error
