"""ClickHouse's errors: code, text and HTTP status, as a server gives them."""

from __future__ import annotations

import re

SYNTAX_ERROR = 62
TIMEOUT_EXCEEDED = 159
REQUIRED_PASSWORD = 194
TOO_MANY_SIMULTANEOUS_QUERIES = 202
SOCKET_TIMEOUT = 209
QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING = 216
MEMORY_LIMIT_EXCEEDED = 241
CANNOT_DECOMPRESS = 271
TOO_MANY_BYTES = 307
SESSION_IS_LOCKED = 373
AUTHENTICATION_FAILED = 516
UNSUPPORTED_METHOD = 1
NOT_IMPLEMENTED = 48
UNKNOWN = 1002

_STATUS = {REQUIRED_PASSWORD: 401, TIMEOUT_EXCEEDED: 408, SOCKET_TIMEOUT: 408, TOO_MANY_BYTES: 413, NOT_IMPLEMENTED: 501}
# Unknown user, wrong password, a role that was not granted, no such access right, read-only.
_STATUS |= dict.fromkeys((192, 193, AUTHENTICATION_FAILED, 512, 497), 403)
# What does not exist: function, identifier, storage, table, database, setting, format.
_STATUS |= dict.fromkeys((36, 46, 47, 50, 56, 60, 73, 81, 115, 511), 404)
# What cannot be parsed, or has the wrong type or shape.
_STATUS |= dict.fromkeys((6, 25, 26, 27, 32, 38, 41, 42, 43, 44, 53, SYNTAX_ERROR, 69, 70, 72, 117, 168, 215, 377, 456, 457), 400)
_STATUS |= dict.fromkeys((TOO_MANY_SIMULTANEOUS_QUERIES, MEMORY_LIMIT_EXCEEDED), 503)

_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")


class ClickHouseError(Exception):
    """An error with the code that ClickHouse gives it."""

    def __init__(self, code: int, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or _STATUS.get(code, 500)

    def text(self, version: str) -> str:
        return f"{self} (version {version})\n"


def refuse(code: int, name: str, what: str, status: int | None = None) -> ClickHouseError:
    """An error of this front's own, in the words of the server's."""
    return ClickHouseError(code, f"Code: {code}. DB::Exception: {what}. ({name})", status)


def from_engine(error: BaseException) -> ClickHouseError:
    """chDB raises RuntimeError with the server's text, and wraps some of them twice."""
    text = str(error).strip()
    codes = _CODE.findall(text)
    if not codes:
        return ClickHouseError(UNKNOWN, f"Code: {UNKNOWN}. DB::Exception: {type(error).__name__}: {text}. (UNKNOWN_EXCEPTION)")
    return ClickHouseError(int(codes[-1]), text[text.index("Code: ") :])
