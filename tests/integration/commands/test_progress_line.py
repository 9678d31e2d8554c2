"""Long commands on a terminal say how far they are; in a pipe they write what they always wrote."""

import asyncio
import os
import pty
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from tapwire_core.commands.progress_line import progress_line
from tests.command_line import command

GUESTS: Final = "first_name,phone\nAnn,+1\nBob,+2\n"
ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """The other end of a terminal. It is read all the time: a program that fills a terminal waits."""

    def __init__(self) -> None:
        self._here, self.there = pty.openpty()
        self._written = b""
        self._reader = threading.Thread(target=self._read_on, daemon=True)
        self._reader.start()

    def read(self) -> str:
        """Everything that was written; the programs have ended."""
        os.close(self.there)
        self._reader.join()
        os.close(self._here)
        return self._written.decode()

    def _read_on(self) -> None:
        with suppress(OSError):  # how Linux says that nobody has it open
            while read := os.read(self._here, 65_536):
                self._written += read


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def on(terminal: Terminal, *arguments: object, url: str) -> str:
    """Run a command with stderr on a terminal, and stdout in a pipe; what it prints there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAPWIRE_")}
    environment = {**kept, "TAPWIRE_DATABASE_URL": url, "TERM": "xterm", "COLUMNS": "100"}
    process = [sys.executable, "-m", "tapwire_core", *map(str, arguments)]
    done = subprocess.run(
        process, env=environment, stdout=subprocess.PIPE, stderr=terminal.there, text=True, check=True, timeout=60
    )
    return done.stdout


async def test_each_long_command_names_its_steps_on_a_terminal_and_its_output_is_the_same(
    database_url: str, empty_owner_url: str, tmp_path: Path, terminal: Terminal
) -> None:
    (tmp_path / "guests.csv").write_text(GUESTS)

    imported = await asyncio.to_thread(on, terminal, "import-guests", tmp_path / "guests.csv", url=database_url)
    taken = await asyncio.to_thread(on, terminal, "backup", tmp_path / "backup", url=database_url)
    restored = await asyncio.to_thread(on, terminal, "restore", tmp_path / "backup", url=empty_owner_url)
    migrated = await asyncio.to_thread(on, terminal, "migrate", url=empty_owner_url)

    assert imported == "2 added, 0 there already.\n"
    assert re.fullmatch(r".+/backup: \d+ rows as of .+, revision \d+\.\n", taken)
    assert restored.startswith("The books are those of ")
    assert re.fullmatch(r"The database is at revision \d+\.\n", migrated)
    shown = ESCAPES.sub("", terminal.read())
    steps = ("guests", "copying", "checking the file", "revision 00", "loading", "functions, views", "proving the books")
    assert [step for step in steps if step not in shown] == []
    assert re.search(r"\d%", shown)
    assert shown.rstrip("\r\n ").count("\n") < shown.count("\r"), "lines are written over each other"


async def test_in_a_pipe_nothing_is_added(database_url: str, tmp_path: Path) -> None:
    ended = await command("tapwire_core", "backup", tmp_path / "backup", TAPWIRE_DATABASE_URL=database_url)

    assert (ended.code, ended.errors) == (0, "")
    assert ended.output.count("\n") == 1


def test_what_is_printed_beside_a_line_goes_where_it_always_goes(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(os.dup(terminal.there), "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with progress_line() as advance:
            advance("a step", 1, 2)
            print("a result")
            advance("another step", 3, 2)

    assert capsys.readouterr().out == "a result\n"
    shown = ESCAPES.sub("", terminal.read())
    assert "a step" in shown
    assert "another step" in shown
    assert "a result" not in shown
