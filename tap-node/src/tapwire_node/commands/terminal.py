"""The terminal of a person at the node: lines in, lines out."""

import os
import select
import sys
from typing import Final

MAX_READ: Final = 4_096


class NoAnswer(Exception):
    """The input ended where an answer was needed."""


class Terminal:
    """Reads lines with its own buffer, as `select` would not see that of `sys.stdin`."""

    def __init__(self, file: int = 0) -> None:
        self._file = file
        self._read = b""
        self._ended = False

    def say(self, text: str) -> None:
        """Print a line and flush it."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def ask(self, prompt: str) -> str:
        """Print the prompt and return the next line, stripped; raises `NoAnswer`."""
        self.say(prompt)
        while b"\n" not in self._read and not self._ended:
            self._read_more()
        return self._take_line()

    def wait(self, *others: int, timeout_s: float) -> bool:
        """Wait for a line, another file descriptor or the timeout; take the line and return True if one has come."""
        files = list(others) if self._ended else [self._file, *others]
        if self._file in select.select(files, [], [], timeout_s)[0]:
            self._read_more()
        if b"\n" not in self._read:
            return False
        self._take_line()
        return True

    def _read_more(self) -> None:
        more = os.read(self._file, MAX_READ)
        self._ended = not more
        self._read += more

    def _take_line(self) -> str:
        line, found, self._read = self._read.partition(b"\n")
        if not found and not line:
            raise NoAnswer("the input has ended")
        return line.decode(errors="replace").strip()
