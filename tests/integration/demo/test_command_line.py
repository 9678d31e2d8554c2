"""The command line of `make demo`: what can't be used is refused in one sentence, and Ctrl-C while it is set up is one line."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tapwire_demo.address import AddressUnusable, ConsoleAddress, own_address
from tapwire_demo.arguments import minutes_above_zero, port_number, seconds_above_zero
from tapwire_demo.processes import LOOPBACK, free_port
from tests.deployment.fresh_checkout import fresh_checkout

ROOT: Final = Path(__file__).parents[3]
WITHIN_S: Final = 60.0


def test_make_hands_the_demo_what_was_typed_and_it_refuses_in_one_sentence(tmp_path: Path) -> None:
    # the recipe as make would run it here, so that nothing is installed or fetched for this
    made = ("--old-file", ".venv/.demo", "--old-file", "admin-api/src/tapwire_admin/console/vendor/.complete")
    dry = subprocess.run(
        ["make", "--dry-run", *made, "demo", "SECONDS=-5"],
        cwd=ROOT,
        env={**plain(), "HOST": "the-machines-name"},
        capture_output=True,
        text=True,
        check=True,
    )
    recipe = dry.stdout[dry.stdout.index("PYTHONPATH=demo") :]
    refused = subprocess.run(
        ["bash", "-c", f"{recipe.rstrip()} --folder '{tmp_path}'"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert "--host" not in recipe
    assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", "make demo: SECONDS=-5: write a number above 0\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("parse", "given", "expected"),
    [
        (seconds_above_zero, "abc", "SECONDS=abc: write a number above 0"),
        (seconds_above_zero, "inf", "SECONDS=inf: write a number above 0"),
        (minutes_above_zero, "0", "MINUTES=0: write a number above 0"),
        (port_number, "0", "PORT=0: write a number from 1 to 65535"),
        (port_number, "http", "PORT=http: write a number from 1 to 65535"),
        (
            lambda host: ConsoleAddress.usable(host, None),
            "no.such.host.invalid",
            "HOST=no.such.host.invalid: Name or service not known",
        ),
    ],
)
def test_each_value_that_can_not_be_used_is_named(parse: Callable[[str], object], given: str, expected: str) -> None:
    with pytest.raises((ArgumentTypeError, AddressUnusable), match=re.escape(expected)):
        parse(given)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(AddressUnusable, match=f"HOST={LOOPBACK} PORT={port}: Address already in use"):
            ConsoleAddress.usable(LOOPBACK, port)


def test_a_tablet_is_told_an_address_by_which_it_gets_here_and_nobody_else_is_let_in_unasked() -> None:
    port = free_port()
    everywhere, here = ConsoleAddress.usable("0.0.0.0", port), ConsoleAddress.usable(LOOPBACK, None)

    assert (everywhere.url, everywhere.outside_url) == (f"http://127.0.0.1:{port}", f"http://{own_address()}:{port}")
    assert here.outside_url is None
    assert ConsoleAddress("::", 80).url == "http://[::1]:80"
    assert ConsoleAddress("192.0.2.7", 80).outside_url == "http://192.0.2.7:80"
    assert ConsoleAddress("localhost", 80).outside_url is None


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    checkout = fresh_checkout(tmp_path / "a checkout")
    yield checkout
    shutil.rmtree(checkout)


@pytest.mark.parametrize(("said", "after_s"), [("Setting up .venv", 0.3), ("Installing requirements/demo.txt", 0.5)])
def test_ctrl_c_while_everything_is_set_up_is_one_line_and_leaves_no_process(checkout: Path, said: str, after_s: float) -> None:
    output = checkout / "output"
    with output.open("wb") as target:
        # a shell starts what it runs in the background with Ctrl-C ignored, and the tests may run there
        make = ["env", "--default-signal=INT", "make", "demo", f"PYTHON={sys.executable}"]
        started = subprocess.Popen(make, cwd=checkout, stdout=target, stderr=target, start_new_session=True, env=plain())
    try:
        wait_for(said, output)
        time.sleep(after_s)
        os.killpg(started.pid, signal.SIGINT)
        ended = started.wait(WITHIN_S)
    finally:
        started.kill()

    lines = output.read_text().splitlines()
    assert ended != 0
    assert not any("Traceback" in line or "KeyboardInterrupt" in line for line in lines), lines
    # pip may warn of the machine's own settings while it installs
    (after,) = (line for line in lines[[said in line for line in lines].index(True) + 1 :] if not line.startswith("WARNING: "))
    assert after.startswith("make: *** ")
    assert after.endswith("Interrupt")
    assert not [line for line in processes() if str(checkout) in line]


def plain() -> dict[str, str]:
    """The environment without what make hands to makes that it runs itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}


def wait_for(text: str, output: Path) -> None:
    deadline = time.monotonic() + WITHIN_S
    while text not in output.read_text():
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.02)


def processes() -> list[str]:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
