"""Who may ask: users and passwords, in the four ways in which ClickHouse's HTTP interface takes them. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from email.message import Message

from clickhouse.errors import AUTHENTICATION_FAILED, ClickHouseError, refuse

DEFAULT_USER = "default"
# What http.server gives, which is no Mapping but finds a header whatever its case; tests give a dictionary.
Headers = Mapping[str, str] | Message


class Users:
    """The users that may ask. Passwords are kept as digests, and compared in constant time."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._digests = {user: _digest(password) for user, password in passwords.items()}

    def check(self, user: str, password: str) -> None:
        """Raises what a server answers to a wrong password, which is the same for an unknown user."""
        expected = self._digests.get(user)
        given = _digest(password)
        if not hmac.compare_digest(given, expected if expected is not None else b"\0" * len(given)):
            raise _refused(
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name"
            )


def credentials(headers: Headers, parameters: Mapping[str, str]) -> tuple[str, str]:
    """User and password of a request: X-ClickHouse-User and -Key, or basic authorization, or the URL; else the default user."""
    by_header = "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers
    authorization = headers.get("Authorization")
    if by_header and authorization:
        raise _refused(
            "Invalid authentication: it is not allowed to use X-ClickHouse HTTP headers and Authorization HTTP header simultaneously"
        )
    if by_header:
        return headers.get("X-ClickHouse-User") or DEFAULT_USER, headers.get("X-ClickHouse-Key") or ""
    if authorization:
        return _basic(authorization)
    return parameters.get("user") or DEFAULT_USER, parameters.get("password") or ""


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise _refused(f"Invalid authentication: '{scheme}' HTTP Authorization scheme is not supported")
    try:
        user, separator, password = base64.b64decode(token.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        separator = ""
    if not separator:
        raise _refused("Invalid authentication: the Authorization header is not base64 of user:password")
    return user or DEFAULT_USER, password


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode("utf-8", "surrogateescape")).digest()


def _refused(what: str) -> ClickHouseError:
    return refuse(AUTHENTICATION_FAILED, "AUTHENTICATION_FAILED", what)
