"""broker-config/README.md's steps for one RabbitMQ, typed: TLS by an authority of our own, and the settings that the units have."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from aiomqtt import MqttError

from tapwire_core.broker.client import Client, make_client, until_lost
from tapwire_core.db.engine import Database
from tapwire_core.services.devices import add_device, revoke_device
from tapwire_demo.processes import LOOPBACK, free_port
from tests.command_line import running
from tests.rabbitmq import Epmd, RabbitMember, require_rabbitmq, running_member
from tests.shipped_broker import SHIPPED
from tests.venue import OPERATOR

ROOT: Final = Path(__file__).parents[3]
EXAMPLE: Final = ROOT / "core-service" / "systemd" / "broker-logins.env.example"
TAP: Final = "bar/taps/left"
WITHIN_S: Final = 60.0
SOON_S: Final = 0.2


@pytest.fixture(scope="module", autouse=True)
def _rabbitmq() -> None:
    require_rabbitmq()


def type_steps(folder: Path, ports: dict[str, int]) -> None:
    """Type the first block, all but its installation of RabbitMQ, with folders and ports of this test."""
    section = (SHIPPED / "README.md").read_text().partition("RabbitMQ on Debian, one member")[2]
    typed = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[0]
    steps = "".join(line for line in typed.splitlines(keepends=True) if not line.startswith("apt-get install"))
    assert "certificates.sh" in steps
    for name in ("rabbitmq", "tapwire"):
        steps = steps.replace(f"/etc/{name}", str(folder / name))
    steps = re.sub(r"BROKER_USER=\w+ ", "", steps).replace("localhost:8883", f"localhost:{ports['MQTT_PORT']}")
    (folder / "rabbitmq").mkdir()
    (folder / "tapwire" / "secrets").mkdir(parents=True)
    given = {
        **{name: str(port) for name, port in ports.items() if name != "LOGINS"},
        "BIND": LOOPBACK,
        "BROKER_USER": str(os.geteuid()),
        "LOGINS": f"{LOOPBACK}:{ports['LOGINS']}",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    subprocess.run(["bash", "-euc", steps], cwd=ROOT, env={**os.environ, **given}, check=True, stdout=subprocess.DEVNULL)


def unit_settings(folder: Path) -> dict[str, str]:
    """What the unit of `broker-logins` has from the example of its file, but for the database."""
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]
    given = dict(line.replace("/etc/tapwire", str(folder / "tapwire")).split("=", 1) for line in lines)
    del given["TAPWIRE_DATABASE_URL_FILE"]
    return given


async def let_in(url: str, client_id: str | None, ca_file: Path) -> Client:
    """A connection, as soon as the broker and `broker-logins` take it."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            client = make_client(url, "3.1.1", client_id=client_id, ca_file=ca_file)
            try:
                return await client.__aenter__()
            except MqttError:
                await asyncio.sleep(SOON_S)


async def test_by_these_steps_core_and_devices_are_let_in_over_tls_and_a_revoked_device_is_cut_off(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    ports = {name: free_port() for name in ("MQTT_PORT", "API_PORT", "LOGINS")}
    type_steps(tmp_path, ports)
    authority = tmp_path / "tapwire" / "broker" / "tls" / "ca.crt"
    secret = (await add_device(db, OPERATOR, TAP)).secret
    core = (tmp_path / "tapwire" / "secrets" / "core_broker_url").read_text().strip()
    device = f"mqtts://{quote(TAP, safe='')}:{secret}@localhost:{ports['MQTT_PORT']}"
    services = ("--services", str(tmp_path / "tapwire" / "broker" / "services"), "--listen", f"{LOOPBACK}:{ports['LOGINS']}")
    settings = {**unit_settings(tmp_path), "TAPWIRE_DATABASE_URL": database_url}

    member = RabbitMember(tmp_path / "rabbitmq", Epmd(tmp_path))
    async with running_member(member), running("tapwire_core", "broker-logins", *services, **settings):
        worker = await let_in(core, None, authority)
        node = await let_in(device, TAP, authority)
        await revoke_device(db, OPERATOR, TAP)
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(MqttError):
                await until_lost(node)
        await worker.__aexit__(None, None, None)
