"""What kind of statement a text is, and where an INSERT ends and its data begins. Pure."""

from __future__ import annotations

import dataclasses
import re

# Statements whose reply has rows, and so a format.
WITH_RESULT = frozenset({"select", "with", "show", "describe", "desc", "exists", "explain", "check", "values", "from"})
# How far the text of an INSERT may reach into a body.
TEXT_BYTES_MAX = 1 << 16
WITHOUT_CHANGE = WITH_RESULT | {"use", "set"}

_SPACE = r"(?:\s|--[^\n]*\n|/\*.*?\*/)"
# A name's bytes beyond ASCII are UTF-8, seen here one by one.
_NAME = r"(?:[\w\x80-\xff]+|`[^`]+`|\"[^\"]+\")"
_COLUMNS = r"\((?:[^()`\"]|`[^`]*`|\"[^\"]*\")*\)"
_STRING = r"'(?:[^'\\]|\\.|'')*'"
_LEAD = re.compile(rf"{_SPACE}*(?:\({_SPACE}*)*([A-Za-z]+)", re.S)
# INSERT INTO table (columns) SETTINGS ... FORMAT name | VALUES: what follows is data. The body's first line break belongs to the text.
_INSERT_DATA = re.compile(
    rf"(?P<into>{_SPACE}*INSERT\s+INTO\s+(?:TABLE\s+)?{_NAME}(?:\s*\.\s*{_NAME})?(?:\s*{_COLUMNS})?)"
    rf"(?:\s+(?P<settings>SETTINGS\s+(?:[^'();]|{_STRING})*?))?"
    rf"(?:\s*(?<=[\s)`\"])FORMAT\s+(?P<format>\w+)[ \t]*(?:;[ \t]*$|\r?\n|$|[ \t])|\s*(?<=[\s)`\"])(?P<values>VALUES)\s*)",
    re.S | re.I,
)
_TRAILING_FORMAT = re.compile(r"\sFORMAT\s+(\w+)\s*(?:SETTINGS\s.*)?;?\s*$", re.S | re.I)


@dataclasses.dataclass(frozen=True)
class Insert:
    """An INSERT whose data is apart from its text: `into` and `settings` are SQL, `format` names the data's."""

    into: str
    settings: str
    format: str


def kind(sql: str) -> str:
    """The statement's first word, in lower case."""
    lead = _LEAD.match(sql)
    return lead[1].lower() if lead else ""


def split_insert(text: bytes) -> tuple[Insert, bytes] | None:
    """An INSERT with data behind its text, and the data; None for every other statement.

    Names may be UTF-8; data may be anything.
    """
    # Latin-1 keeps one character a byte, so that a place in the text is a place in the bytes.
    found = _INSERT_DATA.match(text[:TEXT_BYTES_MAX].decode("latin-1"))
    if found is None:
        return None
    format_name = found["format"] or "Values"

    def sql(group: str) -> str:
        return (found[group] or "").encode("latin-1").decode("utf-8", "surrogateescape").strip()

    return Insert(sql("into"), sql("settings"), format_name), text[found.end() :]


def result_format(sql: str, default: str) -> str | None:
    """The format of the rows of the reply, which a FORMAT clause of the statement decides; None if it has no rows."""
    if kind(sql) not in WITH_RESULT:
        return None
    clause = _TRAILING_FORMAT.search(sql)
    return clause[1] if clause else default


def quote(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """An identifier in back quotes."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
