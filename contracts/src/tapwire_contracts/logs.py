"""One line a message to stderr: readable, or JSON with `TAPWIRE_LOG_FORMAT=json`."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

FORMAT_VARIABLE: Final = "TAPWIRE_LOG_FORMAT"
FORMATS: Final = ("text", "json")
_FACTS: Final = "tapwire_facts"


class InvalidLogFormat(ValueError):
    """`TAPWIRE_LOG_FORMAT` is neither text nor json."""


def set_up_logs(source: str) -> None:
    """Log to stderr, each line naming its source; raises `InvalidLogFormat`.

    What no line of ours shows is not looked up (Python's logging HOWTO, "Optimization"): it is half of what a line costs.
    """
    wanted = os.environ.get(FORMAT_VARIABLE, FORMATS[0])
    if wanted not in FORMATS:
        raise InvalidLogFormat(f"{FORMAT_VARIABLE} is {wanted!r}: set it to text or json")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine(source) if wanted == "json" else TextLine(source))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # the HOWTO has no other name for where in the source a line was logged


def structured(facts: Mapping[str, object]) -> dict[str, object]:
    """The `extra` of a log call: a JSON line has these as fields of its own, a text line has only the message."""
    return {_FACTS: facts}


class TextLine(logging.Formatter):
    """`12:00:01.250 warning bar/taps/left: …`"""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source

    def format(self, record: logging.LogRecord) -> str:
        """One line, with a traceback below it where there is one."""
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        line = f"{at:%H:%M:%S}.{at.microsecond // 1000:03d} {record.levelname.lower():8} {self._source}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLine(logging.Formatter):
    """`{"at": …, "level": …, "source": …, "message": …}`, and the facts that were logged with it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source

    def format(self, record: logging.LogRecord) -> str:
        """One object in one line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "source": self._source,
            "message": record.getMessage(),
            **getattr(record, _FACTS, {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
