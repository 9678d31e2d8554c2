"""`.tapwire/demo.json`: what a program from outside needs to use the running demo (CONTRACT.md, "Commands and settings").

`.tapwire/demo.env` beside it has the essential of it as shell variables, for commands that people paste.
"""

import shlex
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tapwire_core.broker.private_file import write_private

FOLDER: Final = Path(".tapwire")
"""Everything that the demo keeps, below the checkout; mode 700."""
_NAME: Final = "demo.json"
_SHELL_NAME: Final = "demo.env"


class NoDemo(Exception):
    """No demo runs here."""


class Login(msgspec.Struct, frozen=True):
    """A username and its password."""

    username: str
    password: str


class DemoTap(msgspec.Struct, frozen=True):
    """A tap: its path, its login at the broker, and whether the demo simulates its node."""

    path: str
    username: str
    secret: str
    simulated: bool


class DemoCard(msgspec.Struct, frozen=True):
    """A card for programs from outside, in an open visit; the balance is the one that the guest had when the demo began."""

    card_uid: str
    guest_id: str
    balance_minor: int


class DemoFile(msgspec.Struct, frozen=True):
    """The whole file."""

    api_url: str
    broker_url: str
    """`mqtt://host:port`: here log in as `watcher`, or as a tap by its `username` and `secret`, under any client id of your own."""
    operator: Login
    watcher: Login
    venue_id: str
    taps: list[DemoTap]
    cards: list[DemoCard]
    pids: dict[str, int]


def read_demo_file(folder: Path) -> DemoFile:
    """Read the running demo's file; raises `NoDemo`."""
    try:
        return msgspec.json.decode((folder / _NAME).read_bytes(), type=DemoFile)
    except FileNotFoundError as error:
        raise NoDemo("no demo runs here: start one with `make demo`") from error


def write_demo_file(folder: Path, content: DemoFile) -> None:
    """Write both files, mode 600, each in one step."""
    write_private(folder / _SHELL_NAME, _shell_variables(content))
    write_private(folder / _NAME, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def remove_demo_file(folder: Path) -> None:
    """Say that no demo runs any more."""
    for name in (_NAME, _SHELL_NAME):
        (folder / name).unlink(missing_ok=True)


def _shell_variables(content: DemoFile) -> str:
    broker = urlsplit(content.broker_url)
    variables = {
        "API": content.api_url,
        "LOGIN": msgspec.json.encode(content.operator).decode(),
        "BROKER_HOST": broker.hostname or "",
        "BROKER_PORT": str(broker.port),
        "WATCHER": content.watcher.username,
        "WATCHER_PASSWORD": content.watcher.password,
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
