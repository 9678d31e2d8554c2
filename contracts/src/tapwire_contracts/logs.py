"""Logging to stderr, one line per message: text, or JSON with `TAPWIRE_LOG_FORMAT=json`."""

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from tapwire_contracts.unsafe_text import UNSAFE_IN_A_LINE

FORMAT_VARIABLE: Final = "TAPWIRE_LOG_FORMAT"
FORMATS: Final = ("text", "json")
_FACTS: Final = "tapwire_facts"
_UNSAFE: Final = re.compile(f"[{UNSAFE_IN_A_LINE}]")


class InvalidLogFormat(ValueError):
    """`TAPWIRE_LOG_FORMAT` is neither text nor json."""


def set_up_logs(source: str) -> None:
    """Log to stderr, each line with its source; raises `InvalidLogFormat`.

    Thread, process and code line are not looked up, as no line shows them: that halves a line's cost (Python's logging HOWTO,
    "Optimization").
    """
    log_format = os.environ.get(FORMAT_VARIABLE, FORMATS[0])
    if log_format not in FORMATS:
        raise InvalidLogFormat(f"{FORMAT_VARIABLE} is {log_format!r}: set it to text or json")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine(source) if log_format == "json" else TextLine(source))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # it logs each request with its whole address, which may be a secret: a webhook's is. We say what became of it.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # the HOWTO has no other name for where in the source a line was logged


def structured(facts: Mapping[str, object]) -> dict[str, object]:
    """Make the `extra` of a log call: fields of a JSON line; a text line has only the message."""
    return {_FACTS: facts}


def in_one_line(text: str) -> str:
    """The text with control characters, line separators and bidirectional overrides escaped: what others said forges no line."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class TextLine(logging.Formatter):
    """`12:00:01.250 warning bar/taps/left: …`"""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source

    def format(self, record: logging.LogRecord) -> str:
        """Format one line, with its traceback, if any, below it."""
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        message = in_one_line(record.getMessage())
        line = f"{at:%H:%M:%S}.{at.microsecond // 1000:03d} {record.levelname.lower():8} {self._source}: {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLine(logging.Formatter):
    """`{"at": …, "level": …, "source": …, "message": …}`, with the fields of `structured`."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source

    def format(self, record: logging.LogRecord) -> str:
        """Format one JSON object in one line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "source": self._source,
            "message": record.getMessage(),
            **getattr(record, _FACTS, {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        # JSON leaves some of them as they are, and a terminal obeys
        return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(line, ensure_ascii=False))
