"""Signed requests between services: an HMAC-SHA256 over method, path, body digest, moment and nonce.

``Authorization: HMAC <service>:<milliseconds UTC>:<nonce>:<hex>``. Whoever checks one refuses moments that
are far from its own clock, and a nonce that it has seen within that time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

SCHEME = "HMAC"
KEY_BYTES = 32
_CREDENTIALS = re.compile(r"([a-z0-9_-]{1,64}):([0-9]{1,15}):([A-Za-z0-9_-]{16,64}):([0-9a-f]{64})")


class InvalidSignatureError(ValueError):
    """The request does not prove which service sent it; one sentence says why."""


@dataclass(frozen=True)
class SignedRequest:
    """What is signed; ``path`` with its query, as it is sent; ``ts`` in milliseconds UTC."""

    method: str
    path: str
    body: bytes
    ts: int
    nonce: str

    def mac(self, key: bytes) -> str:
        digest = hashlib.sha256(self.body).hexdigest()
        lines = "\n".join((self.method, self.path, digest, str(self.ts), self.nonce))
        return hmac.new(key, lines.encode(), hashlib.sha256).hexdigest()


def authorization(service: str, key: bytes, method: str, path: str, body: bytes, now_ms: int) -> str:
    """The header of a request that ``service`` sends now."""
    signed = SignedRequest(method, path, body, now_ms, secrets.token_urlsafe(16))
    return f"{SCHEME} {service}:{signed.ts}:{signed.nonce}:{signed.mac(key)}"


def check(
    header: str | None,
    keys: dict[str, bytes],
    method: str,
    path: str,
    body: bytes,
    now_ms: int,
    skew_ms: int,
) -> tuple[str, str]:
    """The service that signed a request, and the nonce that it may not use again.

    Raises:
        InvalidSignatureError: not signed, by no service that is known, or not of this moment.
    """
    scheme, _, credentials = (header or "").partition(" ")
    found = _CREDENTIALS.fullmatch(credentials)
    if scheme != SCHEME or found is None:
        raise InvalidSignatureError("This needs a request signed by a service.")
    service, ts, nonce, mac = found.groups()
    expected = SignedRequest(method, path, body, int(ts), nonce).mac(keys.get(service, bytes(KEY_BYTES)))
    if not hmac.compare_digest(mac, expected) or service not in keys:
        raise InvalidSignatureError("The signature is not right.")
    if abs(now_ms - int(ts)) > skew_ms:
        raise InvalidSignatureError("The request was signed at another time: compare the clocks.")
    return service, nonce


def load_keys(files: dict[str, Path]) -> dict[str, bytes]:
    """The key of each service.

    Raises:
        ValueError: a file that cannot be read, or is too short for a key.
    """
    keys = {}
    for service, path in files.items():
        try:
            keys[service] = path.read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise ValueError(f"The key of {service} cannot be read: {error}") from error
        if len(keys[service]) < KEY_BYTES:
            raise ValueError(f"The key of {service} has fewer than {KEY_BYTES} bytes.")
    return keys
