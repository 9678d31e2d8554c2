"""`tapwire-node pair` as a process, against the real API: a device without a secret is paired, or its person is told what to do."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from litestar import Litestar

from tapwire_admin.app import create_app
from tapwire_core.broker.tap_toml import DevicesBroker
from tapwire_core.db.engine import Database
from tapwire_core.services.devices import is_secret_of
from tapwire_core.services.pairings import MAX_OPEN_PAIRINGS, accept_pairing, begin_pairing
from tapwire_demo.processes import free_port
from tapwire_node.commands.admin_api import ApiUnreachable
from tapwire_node.commands.big_letters import GLYPHS, big_letters
from tapwire_node.commands.pairing_api import PairingApi, PairingRefused
from tapwire_node.settings import broker_addresses, load_settings
from tests.integration.node.person import Tool
from tests.shipped_broker import run
from tests.venue import OPERATOR

TAP = "bar/taps/left"
BROKER = "mqtts://broker.example:8883"
PREPARED = """\
# flashed in the workshop
[tap]
reader_id = "front"

[broker]
password_file = "left.secret"  # not there yet

[hardware]
driver = "simulated"

[pairing]
api = "{api}"
ca_file = "api/tls/ca.crt"
poll_ms = 50
patience_ms = 60000
"""


class ForgetfulProxy:
    """The API behind a proxy that now and then loses an answer."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.loses: set[str] = set()
        """Of these operations the next answer."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") not in self.loses:
            await self._app(scope, receive, send)
            return
        answered: list[Any] = []
        await self._app(scope, receive, lambda message: _kept(answered, message))
        if answered[0]["status"] == 200:
            self.loses.remove(scope["path"])
            await send({"type": "http.response.start", "status": 502, "headers": []})
            await send({"type": "http.response.body", "body": b"bad gateway"})
            return
        for message in answered:
            await send(message)


async def _kept(answered: list[Any], message: Any) -> None:
    answered.append(message)


@pytest.fixture(scope="module")
def app() -> Litestar:
    """The API, which knows where devices find the broker."""
    return create_app(Database.nowhere(), devices_broker=DevicesBroker(BROKER, "an authority\n", "3.1.1"))


@pytest.fixture
async def api(app: Litestar, db: Database, tmp_path: Path) -> AsyncIterator[tuple[str, ForgetfulProxy]]:
    """The API behind TLS, by an authority that only `tmp_path/api` knows; a tap.toml is prepared for it."""
    run("certificates.sh", tmp_path / "api", "server", "127.0.0.1")
    app.state.db = db
    proxy, port = ForgetfulProxy(app), free_port()
    async with served(proxy, port, tmp_path / "api" / "tls"):
        address = f"https://127.0.0.1:{port}"
        (tmp_path / "tap.toml").write_text(PREPARED.format(api=address))
        yield address, proxy


@asynccontextmanager
async def served(app: Any, port: int, tls: Path) -> AsyncIterator[None]:
    """A server with TLS in this process."""
    config = uvicorn.Config(
        app, port=port, log_config=None, lifespan="off", ssl_certfile=tls / "server.crt", ssl_keyfile=str(tls / "server.key")
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await serving


async def code_of(tool: Tool) -> str:
    """The code that the device shows."""
    return (await tool.until("pairing code")).split("pairing code ")[1].split(":")[0]


async def test_a_new_device_shows_a_code_and_is_ready_when_an_engineer_has_accepted_it(
    api: tuple[str, ForgetfulProxy], db: Database, tmp_path: Path
) -> None:
    file = tmp_path / "new" / "tap.toml"
    file.parent.mkdir()
    tool = await Tool.start(file.parent, "pair", "--api", api[0], "--ca-file", str(tmp_path / "api" / "tls" / "ca.crt"))
    code = await code_of(tool)
    await accept_pairing(db, OPERATOR, code, TAP)
    assert await tool.end() == 0, tool.said

    assert any(line.startswith(big_letters(code).splitlines()[0]) for line in tool.said)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    settings = load_settings(file)
    (address,) = broker_addresses(settings)
    assert (settings.tap.path, address.username, address.host, address.port) == (TAP, TAP, "broker.example", 8883)
    kept = await db.pool.fetchval("SELECT broker_hash FROM devices WHERE path = $1", TAP)
    assert is_secret_of(kept, address.password or "")
    assert settings.broker.ca_file == str(file.parent / "ca.crt")
    assert (file.parent / "ca.crt").read_text() == "an authority\n"
    assert settings.broker.protocol == "3.1.1"
    assert "doctor" in tool.said[-1]


async def test_a_prepared_file_keeps_its_other_content_and_a_paired_device_does_not_pair_again(
    api: tuple[str, ForgetfulProxy], db: Database, tmp_path: Path
) -> None:
    tool = await Tool.start(tmp_path, "pair")
    await accept_pairing(db, OPERATOR, await code_of(tool), TAP)
    assert await tool.end() == 0, tool.said
    written = (tmp_path / "tap.toml").read_text()
    again = await Tool.start(tmp_path, "pair")
    assert await again.end() == 0

    assert written.startswith("# flashed in the workshop\n")
    assert "password_file" not in written
    assert load_settings(tmp_path / "tap.toml").tap.reader_id == "front"
    assert stat.S_IMODE((tmp_path / "tap.toml").stat().st_mode) & 0o007 == 0
    assert any("--again" in line for line in again.said)
    assert (tmp_path / "tap.toml").read_text() == written
    assert await db.pool.fetchval("SELECT count(*) FROM device_pairings") == 1
    assert set(os.listdir(tmp_path)) == {"api", "ca.crt", "tap.toml"}, "nothing is left beside it"  # noqa: PTH208


async def test_a_lost_answer_leaves_the_file_as_it_was_and_says_to_pair_again_with_replace(
    api: tuple[str, ForgetfulProxy], db: Database, tmp_path: Path
) -> None:
    before = (tmp_path / "tap.toml").read_text()
    api[1].loses = {"/api/devices/pairings/claim"}
    tool = await Tool.start(tmp_path, "pair")
    await accept_pairing(db, OPERATOR, await code_of(tool), TAP)

    assert await tool.end() == 2
    assert "accept the new code with `replace`" in tool.said[-1]
    assert (tmp_path / "tap.toml").read_text() == before
    again = await Tool.start(tmp_path, "pair")
    await accept_pairing(db, OPERATOR, await code_of(again), TAP, replace=True)
    assert await again.end() == 0, again.said


async def test_a_ca_that_cannot_be_written_costs_no_secret(api: tuple[str, ForgetfulProxy], db: Database, tmp_path: Path) -> None:
    file = tmp_path / "tap.toml"
    file.write_text(file.read_text().replace("[broker]", '[broker]\nca_file = "none/ca.crt"'))
    tool = await Tool.start(tmp_path, "pair")
    await accept_pairing(db, OPERATOR, await code_of(tool), TAP)

    assert await tool.end() == 0, tool.said
    assert any("put the broker's CA certificate there" in line for line in tool.said)
    assert "there is no" in tool.said[-1], "what is still missing"
    assert 'password = "' in file.read_text()


async def test_an_expired_code_and_an_unwritable_file_are_reported(
    api: tuple[str, ForgetfulProxy], db: Database, tmp_path: Path
) -> None:
    expired, unwritable = await Tool.start(tmp_path, "pair"), await Tool.start(tmp_path / "none", "pair", "--api", api[0])
    await code_of(expired)
    await db.pool.execute("UPDATE device_pairings SET expires_at = now()")

    assert (await expired.end(), await unwritable.end()) == (2, 2)
    assert "the code has expired: pair again" in expired.said[-1]
    assert "can't be written (No such file or directory)" in unwritable.said[-1]
    assert await db.pool.fetchval("SELECT count(*) FROM device_pairings") == 1, "tried before anything was asked"


async def test_connection_errors_say_what_to_do(api: tuple[str, ForgetfulProxy], db: Database, tmp_path: Path) -> None:
    address, trusted = api[0], tmp_path / "api" / "tls" / "ca.crt"
    run("certificates.sh", tmp_path / "other", "server", "127.0.0.1")

    assert "can't be reached: Connection refused" in await told(f"https://127.0.0.1:{free_port()}", trusted)
    assert "is not trusted" in await told(address, tmp_path / "other" / "tls" / "ca.crt")
    assert "clock" in await told(address, None)
    assert "holds no readable certificate" in await told(address, tmp_path / "tap.toml")
    assert "not a Tapwire admin API" in await told(f"{address}/console", trusted)
    for _ in range(MAX_OPEN_PAIRINGS):
        await begin_pairing(db)
    assert "20 pairings are open" in await told(f"{address}/api/", trusted)


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("venue.example", "write https://HOST"),
        ("https://", "write https://HOST"),
        ("https://venue.example:port", "write https://HOST"),
        ("http://venue.example", "sent unencrypted"),
    ],
)
def test_an_address_without_tls_and_an_invalid_one_are_refused(address: str, advice: str) -> None:
    with pytest.raises(PairingRefused, match=advice):
        PairingApi(address, None)


async def told(address: str, trusted: Path | None) -> str:
    """The error of pairing at this address."""

    def ask() -> None:
        PairingApi(address, trusted).begin()

    with pytest.raises((PairingRefused, ApiUnreachable)) as refused:
        await asyncio.to_thread(ask)
    return str(refused.value)


def test_every_character_of_a_code_has_a_distinct_glyph() -> None:
    assert {len(glyph) for glyph in GLYPHS.values()} == {29}
    assert len(set(GLYPHS.values())) == len(GLYPHS)
    assert big_letters("KXTM-29PQ").count("\n") == 4
