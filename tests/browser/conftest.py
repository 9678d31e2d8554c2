"""Fixtures of browser tests: a running demo, a browser, a console with a session."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from uuid import uuid4

import pytest
from playwright.async_api import Browser

from tapwire_demo.demo_file import DemoFile, DemoTap, Login
from tapwire_demo.postgres import remove_postgres
from tests.browser.api import Api
from tests.browser.console import Console, open_chromium, require_chromium
from tests.browser.desk import DeskReader
from tests.running_demo import RunningDemo, running_demo

DESK: Final = "bar/readers/desk"
PASSWORD: Final = "a-long-password"


@pytest.fixture(scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningDemo]:
    """A demo for all browser tests of this process."""
    require_chromium()
    folder = tmp_path_factory.mktemp("console") / "demo"
    with running_demo(folder) as demo:
        demo.ready()
        yield demo
    await remove_postgres(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def demo(running: RunningDemo) -> DemoFile:
    """The demo's file for other programs, as of now."""
    return running.ready()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium."""
    require_chromium()
    async with open_chromium() as opened:
        yield opened


@pytest.fixture
async def console(browser: Browser, demo: DemoFile) -> AsyncIterator[Console]:
    """The console, with the demo's engineer logged in."""
    async with Console.opened(browser, demo.api_url) as opened:
        await opened.log_in(demo.operator)
        yield opened


@pytest.fixture
async def api(demo: DemoFile) -> AsyncIterator[Api]:
    """The REST API, for what a test needs beside the browser."""
    async with Api.opened(demo) as opened:
        yield opened


@pytest.fixture
async def desk(demo: DemoFile, api: Api) -> AsyncIterator[DeskReader]:
    """A desk reader that is connected."""
    made = await api.send("/api/devices", {"path": DESK})
    if made.is_error:
        made = await api.send("/api/devices/rotate", {"path": DESK})
    secret: dict[str, Any] = made.raise_for_status().json()
    with DeskReader.connected(demo, DemoTap(DESK, DESK, secret["secret"], simulated=False)) as reader:
        yield reader


@pytest.fixture
def user(api: Api) -> Callable[[str], Awaitable[Login]]:
    """Makes an operator of a role."""

    async def make(role: str) -> Login:
        username = f"{role}-{uuid4().hex[:6]}"
        made = await api.send("/api/users", {"username": username, "role": role, "password": PASSWORD})
        made.raise_for_status()
        return Login(username, PASSWORD)

    return make
