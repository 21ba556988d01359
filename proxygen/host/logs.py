"""Log lines: one event a line on standard error, for the journal, people or programs."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from proxygen.credentials import conceal, concealed_words

LOG = logging.getLogger("proxygen")
PLAIN = re.compile(r"[A-Za-z0-9_.:/+@*,-]+", re.ASCII)
LONGEST = 8000
"""Characters of one value: the journal splits lines of more than 48 KiB."""

LEVELS = ("debug", "info", "warning", "error")
PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}
"""A level as syslog(3) counts; sd-daemon(3) has it in front of a line."""


def log_event(level: int, name: str, /, **fields: object) -> None:
    """Log one event; a field of None is left out."""
    LOG.log(level, name, extra={"fields": fields})


def log_exception(name: str, /, **fields: object) -> None:
    """Log the exception that is being handled, with its traceback."""
    LOG.error(name, extra={"fields": fields}, exc_info=True)


def start_logging(form: str, level: str, environment: Mapping[str, str]) -> None:
    """Log from now on; *form* is ``text`` or ``json``, *level* one of LEVELS.

    Of the libraries that log, only warnings are let through.
    """
    handler = logging.StreamHandler(sys.stderr)
    journal = is_journal(environment)
    handler.setFormatter(
        LogfmtFormatter(journal=journal) if form == "text" else JsonFormatter(journal=journal)
    )
    logging.raiseExceptions = False  # nobody reads us any more: no reason to stop
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    LOG.setLevel(level.upper())


def is_journal(environment: Mapping[str, str]) -> bool:
    """Return whether standard error is the journal: device and inode are told by systemd."""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class LineFormatter(logging.Formatter):
    """Makes one line of a record, with the priority in front where the journal reads it."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self.journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = self.line(record, record_fields(record))
        priority = PRIORITIES.get(record.levelno, 3)
        return f"<{priority}>{line}" if self.journal else line

    def line(self, record: logging.LogRecord, fields: Mapping[str, Any]) -> str:
        """Return the event with its fields."""
        raise NotImplementedError


class LogfmtFormatter(LineFormatter):
    """``event key=value …``: values that hold anything unusual are quoted and escaped."""

    def line(self, record: logging.LogRecord, fields: Mapping[str, Any]) -> str:
        """Return the event as logfmt; time and level are in front where no journal adds them."""
        said = " ".join(
            (name_of(record), *(f"{key}={quoted_value(fields[key])}" for key in fields))
        )
        return said if self.journal else f"{utc_moment(record)} {record.levelname.lower()} {said}"


class JsonFormatter(LineFormatter):
    """One JSON object a line."""

    def line(self, record: logging.LogRecord, fields: Mapping[str, Any]) -> str:
        """Return the event as JSON, ASCII alone."""
        about = {"time": utc_moment(record), "level": record.levelname.lower()}
        said = {key: plain_value(value) for key, value in fields.items()}
        return json.dumps(about | {"event": name_of(record)} | said)


def name_of(record: logging.LogRecord) -> str:
    """Return what happened, as one word."""
    return record.getMessage() if hasattr(record, "fields") else "log"


def record_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record; a library's has its message, an exception its traceback."""
    fields = getattr(record, "fields", None)
    if fields is None:
        fields = {"logger": record.name, "message": concealed_words(record.getMessage())}
    if record.exc_info:
        trace = logging.Formatter().formatException(record.exc_info)
        fields = fields | {"traceback": concealed_words(trace)}
    return {key: value for key, value in fields.items() if value is not None}


def utc_moment(record: logging.LogRecord) -> str:
    """Return when it was, in UTC."""
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def plain_value(value: object) -> object:
    """Return a value as JSON has it, texts bounded."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_value(each) for each in value]
    return text_of(value)


def text_of(value: object) -> str:
    """Return a value as bounded text."""
    if isinstance(value, list | tuple | set | frozenset):
        return conceal(",".join(map(str, value)))[:LONGEST]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return f"{value:.3f}" if isinstance(value, float) else conceal(str(value))[:LONGEST]


def quoted_value(value: object) -> str:
    """Return a value of logfmt: nothing in it ends the value, the field or the line."""
    text = text_of(value)
    if PLAIN.fullmatch(text):
        return text
    return f'"{"".join(map(escaped_character, text))}"'


def escaped_character(letter: str) -> str:
    """Return a character as it may stand between quotes on one line."""
    if letter in '"\\':
        return f"\\{letter}"
    if letter == "\n":
        return "\\n"
    return letter if letter.isprintable() else ascii(letter)[1:-1]
