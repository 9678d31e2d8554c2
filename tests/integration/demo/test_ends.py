"""Ending the demo leaves no process behind, in any way and at any time."""

import asyncio
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tapwire_demo.postgres import remove_postgres
from tests.running_demo import RunningDemo, running_demo
from tests.thoroughness import short_or_long

MOMENTS_S: Final = short_or_long((0.3, 1.8, 3.6), (0.3, 1.0, 1.8, 2.6, 3.6, 6.0))
"""From the demo's first line over `initdb`, the migrations and the servers to the first guests."""
BEGUN_S: Final = 10.0
GONE_S: Final = 20.0

pytestmark = [pytest.mark.timeout(300), pytest.mark.lasts]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for one demo after the other; its database is deleted at last."""
    folder = tmp_path_factory.mktemp("ends") / "demo"
    folder.mkdir(mode=0o700)
    yield folder
    asyncio.run(remove_postgres(folder))


@pytest.mark.thorough
def test_ctrl_c_at_any_moment_of_a_start_leaves_no_process(folder: Path) -> None:
    chance = random.Random(20260501)
    for moment_s in MOMENTS_S:
        demo = RunningDemo(folder)
        wait_for_first_line(demo)
        time.sleep(moment_s + chance.uniform(0, 0.3))

        exit_code = demo.end()

        assert exit_code in (0, -signal.SIGINT), demo.output
        assert "Traceback" not in demo.output
        assert demo.left() == [], f"left by a start of {moment_s} s"
        assert not (folder / "demo.json").exists()


def wait_for_first_line(demo: RunningDemo) -> None:
    """Wait until Python has started, which takes Ctrl-C as an exception, and the demo's first line has made it simply end it.

    A Ctrl-C before that is Python's: it prints a traceback or, where it falls into a callback of an import, loses it.
    """
    deadline, caught_by_python = time.monotonic() + BEGUN_S, False
    while sys.platform == "linux" and time.monotonic() < deadline:
        if catches_ctrl_c(demo.process.pid):
            caught_by_python = True
        elif caught_by_python:
            return
        time.sleep(0.001)


def catches_ctrl_c(pid: int) -> bool:
    """Return whether a process has a handler for SIGINT."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught, 16) >> signal.SIGINT - 1 & 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_killed_demo_takes_all_its_processes_with_it(folder: Path) -> None:
    with running_demo(folder) as demo:
        demo.ready()

        demo.end(signal.SIGKILL)

        deadline = time.monotonic() + GONE_S
        while demo.left():
            assert time.monotonic() < deadline, demo.left()
            time.sleep(0.1)
