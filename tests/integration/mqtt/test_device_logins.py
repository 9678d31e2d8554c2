"""A device's life: added, set up, rotated, revoked, at the shipped broker and at the HTTP door."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiomqtt import MqttError

from tapwire_core.broker.client import Client
from tapwire_core.broker.device_logins import BrokerNotReloaded, DeviceLogins, keep_device_logins, reload_broker
from tapwire_core.db.engine import Database
from tapwire_core.services.devices import add_device, revoke_device, rotate_device
from tapwire_node.settings import broker_addresses, load_settings
from tests.besides import besides
from tests.command_line import command, done, running
from tests.conftest import require_mosquitto
from tests.rest import Rest
from tests.shipped_broker import ShippedBroker, shipped_broker
from tests.venue import OPERATOR

TAP = "bar/taps/left"
READER = "bar/readers/desk"
SOON_S = 0.1
WITHIN_S = 20.0
DEVICES_BROKER = "mqtts://broker.example:8883"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[ShippedBroker]:
    """The shipped broker; nobody may log in as a device yet."""
    require_mosquitto()
    async with shipped_broker(tmp_path / "broker", "plain") as opened:
        yield opened


@pytest.fixture
async def kept(db: Database, broker: ShippedBroker) -> AsyncIterator[None]:
    """The devices' logins are kept as the database has them."""
    async with keeping(db, broker.logins):
        yield


async def test_a_device_that_is_added_can_log_in_and_one_that_is_revoked_is_cut_off(
    db: Database, broker: ShippedBroker, kept: None, rest: Rest
) -> None:
    made = await add_device(db, OPERATOR, TAP)
    await until_let_in(broker, made.secret)

    async with cut_off(broker, made.secret):
        await revoke_device(db, OPERATOR, TAP)

    assert not await lets_in(broker, made.secret)
    refused = await rest.nobody.post(
        "/api/visits/authorize-pour", json={"card_uid": "04a1b2c3", "tap_id": "left"}, headers={"X-Internal-Token": made.secret}
    )
    assert refused.status_code == 401


async def test_a_rotated_secret_replaces_the_old_one_and_cuts_its_connection(
    db: Database, broker: ShippedBroker, kept: None
) -> None:
    before = await add_device(db, OPERATOR, TAP)
    await until_let_in(broker, before.secret)

    async with cut_off(broker, before.secret):
        after = await rotate_device(db, OPERATOR, TAP)

    await until_let_in(broker, after.secret)
    assert not await lets_in(broker, before.secret)


async def test_a_device_added_while_the_broker_was_down_may_log_in_when_it_is_back(
    db: Database, broker: ShippedBroker, kept: None
) -> None:
    await broker.server.stop()
    made = await add_device(db, OPERATOR, TAP)
    await until_written(broker, TAP)
    broker.start_again()

    await until_let_in(broker, made.secret)


async def test_the_command_keeps_the_file_and_once_writes_it_for_a_broker_that_is_not_there(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    await add_device(db, OPERATOR, TAP)
    options = ("sync-broker", "--file", tmp_path / "devices", "--pid-file", tmp_path / "none.pid")

    said = await done("tapwire_core", *options, "--once", TAPWIRE_DATABASE_URL=database_url)

    assert "is not running" in said
    assert (tmp_path / "devices").read_text().startswith(f"{TAP}:$7$")
    assert (tmp_path / "devices").stat().st_mode & 0o777 == 0o600
    async with running("tapwire_core", *options, TAPWIRE_DATABASE_URL=database_url):
        await revoke_device(db, OPERATOR, TAP)
        async with asyncio.timeout(WITHIN_S):
            while (tmp_path / "devices").read_text():
                await asyncio.sleep(SOON_S)


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        pytest.param("sleep", "is not mosquitto", id="another program has the number now"),
        pytest.param("mosquitto", "is still starting", id="the broker does not catch the signal yet, and would die of it"),
    ],
)
def test_a_process_that_the_signal_would_end_is_not_signalled(tmp_path: Path, program: str, complaint: str) -> None:
    (tmp_path / program).symlink_to("/bin/sleep")
    other = subprocess.Popen([tmp_path / program, "60"])
    (tmp_path / "pid").write_text(str(other.pid))
    try:
        while Path(f"/proc/{other.pid}/comm").read_text().strip() != program:  # it gets its name a moment after Popen is through
            time.sleep(SOON_S)
        with pytest.raises(BrokerNotReloaded, match=complaint):
            reload_broker(tmp_path / "pid")
        assert other.poll() is None
    finally:
        os.kill(other.pid, signal.SIGKILL)
        other.wait()


async def test_add_device_writes_a_folder_that_the_tap_node_can_use(db: Database, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "authority.pem").write_text("an authority")
    settings = {
        "TAPWIRE_DATABASE_URL": database_url,
        "TAPWIRE_DEVICE_BROKER_URL": DEVICES_BROKER,
        "TAPWIRE_BROKER_CA_FILE": str(tmp_path / "authority.pem"),
        "TAPWIRE_BROKER_PROTOCOL": "3.1.1",
    }

    said = await done("tapwire_core", "add-device", TAP, "--folder", tmp_path / "left", **settings)

    config = tmp_path / "left" / "tap.toml"
    loaded = load_settings(config)
    (address,) = broker_addresses(loaded)
    assert (address.host, address.port, address.tls, address.username) == ("broker.example", 8883, True, TAP)
    assert address.password
    assert address.password not in said
    assert loaded.broker.protocol == "3.1.1"
    assert loaded.broker.ca_file == str(tmp_path / "left" / "ca.crt")
    assert (tmp_path / "left" / "ca.crt").read_text() == "an authority"
    assert config.stat().st_mode & 0o777 == 0o600


async def test_add_device_prints_the_secret_once_and_the_ready_settings(db: Database, database_url: str) -> None:
    settings = {"TAPWIRE_DATABASE_URL": database_url, "TAPWIRE_DEVICE_BROKER_URL": DEVICES_BROKER}

    tap = await done("tapwire_core", "add-device", TAP, "--driver", "simulated", **settings)
    reader = await done("tapwire_core", "add-device", READER, **settings)
    again = await command("tapwire_core", "add-device", TAP, **settings)
    rotated = await done("tapwire_core", "rotate-device", TAP, **settings)

    secret = next(line for line in tap.splitlines() if line.startswith("secret")).split(": ")[1]
    assert f'password = "{secret}"' in tap
    assert "protocol" not in tap, "a node speaks the newest by itself"
    assert "tap.toml" not in reader
    assert (again.code, "rotate its secret" in again.errors) == (1, True)
    assert secret not in rotated
    assert "is revoked" in await done("tapwire_core", "revoke-device", TAP, **settings)


async def test_a_folder_without_the_brokers_address_is_refused_before_a_secret_is_made(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    refused = await command("tapwire_core", "add-device", TAP, "--folder", tmp_path, TAPWIRE_DATABASE_URL=database_url)

    assert refused.code == 1
    assert "TAPWIRE_DEVICE_BROKER_URL" in refused.errors
    assert await db.pool.fetchval("SELECT count(*) FROM devices") == 0


@asynccontextmanager
async def keeping(db: Database, logins: DeviceLogins) -> AsyncIterator[None]:
    """`tapwire-core sync-broker`, in this process and without patience."""
    async with besides(keep_device_logins(db, logins, SOON_S)):
        yield


@asynccontextmanager
async def cut_off(broker: ShippedBroker, secret: str) -> AsyncIterator[None]:
    """A device's connection that the broker must end after the block."""
    with pytest.raises(MqttError, match="Disconnected"):  # noqa: PT012 - the block is the caller's
        async with broker.device(TAP, secret) as device:
            yield
            await _heard(device)


async def _heard(device: Client) -> None:
    async with asyncio.timeout(WITHIN_S):
        await anext(device.messages)


async def lets_in(broker: ShippedBroker, secret: str) -> bool:
    """Return whether the tap can log in now."""
    try:
        async with broker.device(TAP, secret):
            return True
    except MqttError:
        return False


async def until_let_in(broker: ShippedBroker, secret: str) -> None:
    """Wait until the tap can log in."""
    async with asyncio.timeout(WITHIN_S):
        while not await lets_in(broker, secret):
            await asyncio.sleep(SOON_S)


async def until_written(broker: ShippedBroker, path: str) -> None:
    """Wait until a device stands in the password file."""
    async with asyncio.timeout(WITHIN_S):
        while path not in broker.logins.file.read_text():
            await asyncio.sleep(SOON_S)
