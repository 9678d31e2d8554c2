"""The shipped RabbitMQ, which asks `broker-logins`: a real one, with MQTT 3.1.1, against devices that want more than their own."""

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import httpx
import pytest
from aiomqtt import MqttError, ProtocolVersion, Will

from tapwire_contracts.tasks import end_tasks
from tapwire_contracts.topics import ROOT
from tapwire_core.broker.client import Client
from tapwire_core.broker.revocations import CACHE_S
from tapwire_core.db.engine import Database
from tapwire_core.db.views.system import list_programs
from tapwire_core.domain.closed_sets import Program
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.services.devices import add_device, revoke_device, rotate_device
from tapwire_core.worker.worker import Intervals, Worker
from tapwire_demo.processes import LOOPBACK
from tests.besides import besides
from tests.command_line import running
from tests.mqtt_tap import MqttTap
from tests.rabbitmq import require_rabbitmq
from tests.shipped_rabbitmq import PATIENCE_S, SOON_S, ShippedRabbit, shipped_rabbit
from tests.venue import OPERATOR, Venue

ENDS_WITHIN_S = 10.0
"""Longest life of a revoked device's connection, on a machine with much else to do."""
STARTS_WITHIN_S = 60.0
LOGIN_S = 5.0
"""Longest wait for the answer to a login: RabbitMQ 4 refuses after 3 s, and one whose connection is ended meanwhile gets none."""
NOT_ITS_OWN = (
    f"{ROOT}/{{own}}/command",
    f"{ROOT}/{{own}}/config",
    f"{ROOT}/core/core-9/state",
    "homeassistant/device/tapwire_bar_left/config",
    "tapwire/home/v1/bar/left",
    "tapwire.v1.{victim}.card",
    f"{ROOT}/{{victim}}.card",
    f"{ROOT}/*/taps/*/card",
    f"{ROOT}/{{own}}/card/",
    f"/{ROOT}/{{own}}/card",
    "$SYS/broker/uptime",
    "amq.gen",
    "кран",
)
NOT_ITS_OWN_TO_READ = (
    "#",
    "+/#",
    "$SYS/#",
    f"{ROOT}/#",
    f"{ROOT}/{{victim}}/command",
    f"{ROOT}/{{own}}/#",
    f"{ROOT}/+/taps/+/command",
    f"{ROOT}/#/command",
    "tapwire/#/command",
    f"{ROOT}/*/taps/*/command",
    "tapwire.v1.*.taps.*.command",
    f"$share/tapwire/{ROOT}/+/taps/+/card",
    f"$share/x/{ROOT}/{{own}}/command",
    "tapwire/home/v1/#",
)
OTHER_NAMES = (
    "bar/taps/unknown",
    "guest",
    "tapwire",
    "core",
    "%2F:{own}",
    "other:{own}",
    "{own}\u00e9",
    "кран",
    " {own}",
    "{own}&username=core",
    "{own}%00",
)
PACE = Intervals(sweep_s=0.05, outbox_s=0.5, progress_s=0.05, database_check_s=0.1, reconnect_max_s=0.3)


@pytest.fixture(scope="module")
async def rabbit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ShippedRabbit]:
    """The shipped RabbitMQ, for all tests of this file: it takes seconds to start."""
    require_rabbitmq()
    async with shipped_rabbit(tmp_path_factory.mktemp("rabbitmq") / "broker") as opened:
        yield opened


@pytest.fixture
async def asked(db: Database, rabbit: ShippedRabbit) -> AsyncIterator[ShippedRabbit]:
    """The same with the test's database behind it."""
    async with rabbit.asking(db):
        yield rabbit


class Device:
    """A device of the test's own: the broker may remember for seconds what it was told of another test's."""

    def __init__(self, broker: ShippedRabbit, path: str, secret: str) -> None:
        self.broker, self.path, self.secret = broker, path, secret

    def connect(self) -> Client:
        """Log in as what it is."""
        return self.broker.device(self.path, self.secret, timeout_s=PATIENCE_S)

    async def is_let_in(self, *, client_id: str | None = None, secret: str | None = None) -> bool:
        """Return whether it can log in now."""
        return await lets_in(self.broker.device(self.path, secret or self.secret, client_id=client_id, timeout_s=LOGIN_S))

    async def until_let_in(self) -> None:
        """Wait until it can log in: the program that is asked reads the database in turns."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self.is_let_in():
                await asyncio.sleep(SOON_S)


async def a_device(db: Database, broker: ShippedRabbit) -> Device:
    """A new device that can log in."""
    path = f"bar/taps/tap-{secrets.token_hex(4)}"
    device = Device(broker, path, (await add_device(db, OPERATOR, path)).secret)
    await device.until_let_in()
    return device


@pytest.fixture
async def victim(db: Database, asked: ShippedRabbit) -> Device:
    """A device whose topics and connection others want."""
    return await a_device(db, asked)


@pytest.fixture
async def rogue(db: Database, asked: ShippedRabbit) -> Device:
    """A device that wants more than its own."""
    return await a_device(db, asked)


async def test_a_guest_pours_at_a_tap_behind_rabbitmq(venue: Venue, rabbit: ShippedRabbit) -> None:
    ann = await venue.guest(balance_minor=300_00)
    path = str(venue.tap.path)
    secret = (await add_device(venue.db, OPERATOR, path)).secret
    async with rabbit.asking(venue.db), working_core(venue, rabbit):
        await Device(rabbit, path, secret).until_let_in()
        protocol = ProtocolVersion.V5 if rabbit.newest_protocol == "5" else ProtocolVersion.V311
        async with rabbit.device(path, secret, protocol=protocol) as client, heard_by(client, path) as tap:
            await tap.core()
            await tap.send("card", venue.tap.question(ann.card_uid))
            grant = await tap.command("pour_authorized")
            await tap.send("pour/completed", venue.tap.report(UUID(grant["pour_id"]), ann.card_uid, 250))
            verdict = await tap.command("pour_settled")

    assert (verdict["outcome"], verdict["amount_minor"]) == ("pending_updated_to_synced", 125_00)
    assert await venue.balance(ann) == (175_00, 0)
    await venue.books_balance()


async def test_each_service_logs_in_and_hears_what_its_role_may(asked: ShippedRabbit, victim: Device) -> None:
    async with asked.service("core") as core, asked.service("operator") as operator, victim.connect() as device:
        await core.subscribe(f"{ROOT}/+/taps/+/card", qos=1)
        await operator.subscribe(f"{ROOT}/#", qos=1)
        await device.subscribe(f"{ROOT}/{victim.path}/command", qos=1)

        await device.publish(f"{ROOT}/{victim.path}/card", b"card", qos=1)
        assert (await next_payload(core), await next_payload(operator)) == (b"card", b"card")
        await core.publish(f"{ROOT}/{victim.path}/command", b"command", qos=1)
        assert (await next_payload(device), await next_payload(operator)) == (b"command", b"command")
    assert await lets_in(asked.service("home"))
    assert await lets_in(asked.service("admin"))


async def test_it_can_not_write_anothers_topics(asked: ShippedRabbit, victim: Device, rogue: Device) -> None:
    async with asked.service("operator") as watcher, asked.service("core") as core:
        await watcher.subscribe(f"{ROOT}/{victim.path}/#", qos=1)

        for leaf in ("state", "card", "pour/progress", "pour/completed", "flow", "command", "config"):
            assert await is_cut_off(rogue, publish=f"{ROOT}/{victim.path}/{leaf}"), leaf

        await core.publish(f"{ROOT}/{victim.path}/command", b"from the core", qos=1)
        assert await next_payload(watcher) == b"from the core"


async def test_it_can_not_write_what_is_not_its_own(victim: Device, rogue: Device) -> None:
    for topic in NOT_ITS_OWN:
        assert await is_cut_off(rogue, publish=topic.format(own=rogue.path, victim=victim.path)), topic

    assert not await is_cut_off(rogue, publish=f"{ROOT}/{rogue.path}/card")


async def test_it_can_not_subscribe_to_what_is_not_its_own(victim: Device, rogue: Device) -> None:
    for topic_filter in NOT_ITS_OWN_TO_READ:
        assert await is_cut_off(rogue, subscribe=topic_filter.format(own=rogue.path, victim=victim.path)), topic_filter

    assert not await is_cut_off(rogue, subscribe=f"{ROOT}/{rogue.path}/command")


async def test_a_will_on_anothers_topic_reaches_nobody(asked: ShippedRabbit, victim: Device, rogue: Device) -> None:
    will = Will(f"{ROOT}/{victim.path}/card", b"forged", qos=1)
    async with asked.service("operator") as watcher, asked.service("core") as core:
        await watcher.subscribe(f"{ROOT}/{victim.path}/#", qos=1)

        assert await is_cut_off(rogue, will=will, publish=f"{ROOT}/{victim.path}/card")

        await core.publish(f"{ROOT}/{victim.path}/command", b"from the core", qos=1)
        assert await next_payload(watcher) == b"from the core"


async def test_a_retained_state_and_a_will_reach_who_may_read_them(asked: ShippedRabbit, victim: Device) -> None:
    state = f"{ROOT}/{victim.path}/state"
    device = asked.device(victim.path, victim.secret, will=Will(state, b"gone", qos=1))
    await device.__aenter__()
    await device.publish(state, b"here", qos=1, retain=True)
    async with asked.service("core") as core:
        await core.subscribe(state, qos=1)
        assert await next_payload(core) == b"here"

        connected = device._client.socket()
        assert isinstance(connected, socket.socket)
        connected.shutdown(socket.SHUT_RDWR)  # without a word, as of a node that has lost its power
        assert await next_payload(core) == b"gone"
    assert await is_lost(device)


async def test_its_secret_is_good_for_its_own_client_id_alone(asked: ShippedRabbit, victim: Device, rogue: Device) -> None:
    async with victim.connect() as connected:
        others = (victim.path, "", "core-1", f"{rogue.path}/", rogue.path.upper(), f"{rogue.path}\u0430")
        assert not any(await asyncio.gather(*(rogue.is_let_in(client_id=client_id) for client_id in others)))
        assert not await lets_in(asked.client("operator", asked.password("operator"), victim.path))
        assert not await lets_in(asked.client("core", asked.password("core"), victim.path))

        await connected.publish(f"{ROOT}/{victim.path}/card", b"still there", qos=1)


async def test_other_names_with_its_secret_are_refused_like_a_wrong_secret(rogue: Device) -> None:
    wrong = await why_refused(rogue.broker.device(rogue.path, "wrong"))

    assert wrong is not None
    for secret in (rogue.secret, "wrong", "guest"):
        logins = [rogue.broker.client(name.format(own=rogue.path), secret, rogue.path) for name in OTHER_NAMES]
        assert await asyncio.gather(*map(why_refused, logins)) == [wrong] * len(OTHER_NAMES)


async def test_a_revoked_device_is_cut_off_and_stays_out(db: Database, rogue: Device) -> None:
    async with cut_off(rogue):
        await revoke_device(db, OPERATOR, rogue.path)

    await until_refused(rogue, rogue.secret)
    await until_closed(db)


async def test_a_rotated_secret_replaces_the_old_one_and_cuts_its_connection(db: Database, rogue: Device) -> None:
    old = rogue.secret
    async with cut_off(rogue):
        rogue.secret = (await rotate_device(db, OPERATOR, rogue.path)).secret

    await rogue.until_let_in()
    await until_refused(rogue, old)
    await until_closed(db)
    async with rogue.connect() as client:
        await client.publish(f"{ROOT}/{rogue.path}/card", b"a card", qos=1)


async def test_a_device_revoked_while_the_program_was_down_is_cut_off_when_it_is_back(db: Database, rabbit: ShippedRabbit) -> None:
    async with rabbit.asking(db):
        device = await a_device(db, rabbit)
        connection = device.connect()
        await connection.__aenter__()
    await revoke_device(db, OPERATOR, device.path)
    assert not await is_lost(connection, within_s=SOON_S)

    async with rabbit.asking(db):
        assert await is_lost(connection)


async def test_the_command_answers_and_cuts_off_as_the_installed_files_say(
    db: Database, database_url: str, rabbit: ShippedRabbit
) -> None:
    device = Device(rabbit, "bar/taps/by-command", (await add_device(db, OPERATOR, "bar/taps/by-command")).secret)
    settings = {**rabbit.settings, "TAPWIRE_DATABASE_URL": database_url, "TAPWIRE_HEARTBEAT_MS": "100"}
    async with running("tapwire_core", *rabbit.arguments, **settings):
        await until_it_listens(rabbit.logins_port)
        await device.until_let_in()
        assert Program.BROKER_LOGINS in [one.program for one in await list_programs(db)]
        async with cut_off(device):
            await revoke_device(db, OPERATOR, device.path)


async def test_no_secret_of_ours_opens_anything_but_mqtt(asked: ShippedRabbit, rogue: Device) -> None:
    logins = {"guest": "guest", rogue.path: rogue.secret, "core": asked.password("core"), "tapwire": "wrong"}
    address = asked.api_url.split("@")[0].removeprefix("http://").split(":")
    url = f"http://{LOOPBACK}:{asked.api_port}/api/connections"
    async with httpx.AsyncClient(trust_env=False) as client:
        answers = {name: (await client.get(url, auth=(name, secret))).status_code for name, secret in logins.items()}
        manager = await client.get(url, auth=(address[0], address[1]))

    assert answers == dict.fromkeys(logins, 401)
    assert manager.status_code == 200
    assert not await lets_in(asked.client(address[0], address[1], "manager"))
    assert "started TCP listener on" not in asked.member.log().replace("started MQTT TCP listener on", "")


async def test_while_nobody_answers_it_nobody_gets_in_and_later_everybody_does(db: Database, rabbit: ShippedRabbit) -> None:
    async with rabbit.asking(db):
        device = await a_device(db, rabbit)
    await asyncio.sleep(CACHE_S + 0.5)

    assert not await device.is_let_in()

    async with rabbit.asking(db):
        await device.until_let_in()


def test_no_log_has_a_secret(rabbit: ShippedRabbit) -> None:
    log = rabbit.member.log()

    for secret in (rabbit.logins_secret, rabbit.password("core"), rabbit.api_url.split(":")[2].split("@")[0]):
        assert secret not in log


@asynccontextmanager
async def working_core(venue: Venue, rabbit: ShippedRabbit) -> AsyncIterator[None]:
    """A core worker at the broker, with the newest MQTT that this has."""
    worker = Worker(
        venue.db, BrokerAddress(url=rabbit.core_url, protocol=rabbit.newest_protocol), PACE, f"core-{secrets.token_hex(4)}"
    )
    async with besides(worker.run()):
        yield


@asynccontextmanager
async def heard_by(client: Client, path: str) -> AsyncIterator[MqttTap]:
    """A tap on a connection of its own."""
    tap = MqttTap(client, path)
    for topic in (f"{ROOT}/{path}/command", f"{ROOT}/{path}/config", f"{ROOT}/core/+/state"):
        await client.subscribe(topic, qos=1)
    hearing = asyncio.create_task(tap.hear())
    try:
        yield tap
    finally:
        await end_tasks(hearing)


@asynccontextmanager
async def cut_off(device: Device) -> AsyncIterator[None]:
    """A device's connection that the broker must end after the block, soon."""
    with pytest.raises(MqttError):  # noqa: PT012 - the block is the caller's
        async with device.connect() as client:
            await client.subscribe(f"{ROOT}/{device.path}/command", qos=1)
            yield
            async with asyncio.timeout(ENDS_WITHIN_S):
                await anext(client.messages)


async def is_cut_off(device: Device, *, publish: str | None = None, subscribe: str | None = None, will: Will | None = None) -> bool:
    """Do one thing with its connection, past the client library's own checks; whether the broker ended the connection.

    MQTT 3.1.1 has no other refusal. Where it does not end, a message of its own topics has come through after that thing.
    """
    client = device.broker.device(device.path, device.secret, will=will)
    await client.__aenter__()
    inner = client._client
    if publish is not None:
        inner._send_publish(1, publish.encode(), b"forged", qos=1)
    if subscribe is not None:
        inner._send_subscribe(False, [(subscribe.encode(), 1)])
    own = asyncio.ensure_future(client.publish(f"{ROOT}/{device.path}/card", b"its own", qos=1))
    await asyncio.wait({own, client._disconnected}, return_when=asyncio.FIRST_COMPLETED)
    await end_tasks(own)
    if client._disconnected.done():
        assert client._disconnected.exception() is not None
        return True
    await client.__aexit__(None, None, None)
    return False


async def is_lost(client: Client, *, within_s: float = ENDS_WITHIN_S) -> bool:
    """Return whether the broker ends this connection within some time."""
    return bool((await asyncio.wait({client._disconnected}, timeout=within_s))[0])


async def lets_in(client: Client) -> bool:
    """Return whether this client can log in."""
    return await why_refused(client) is None


async def why_refused(client: Client) -> str | None:
    """The broker's answer to a login; None where it lets it in."""
    try:
        async with client:
            return None
    except MqttError as error:
        return str(error)


async def until_refused(device: Device, secret: str) -> None:
    """Wait until a secret is no longer good; it may be for as long as the broker remembers an answer."""
    began = last_let_in = time.monotonic()
    while await device.is_let_in(secret=secret):
        last_let_in = time.monotonic()
        await asyncio.sleep(SOON_S)
    assert last_let_in - began < CACHE_S + 1


async def until_it_listens(port: int) -> None:
    """Wait until a program listens on this port."""
    async with asyncio.timeout(STARTS_WITHIN_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                await asyncio.sleep(SOON_S)
            else:
                writer.close()
                return


async def until_closed(db: Database) -> None:
    """Wait until nothing is left to be closed."""
    async with asyncio.timeout(2 * CACHE_S + PATIENCE_S):
        while await db.pool.fetchval(
            "SELECT count(*) FROM devices WHERE closed_hash <> CASE WHEN revoked_at IS NULL THEN broker_hash ELSE '' END"
        ):
            await asyncio.sleep(SOON_S)


async def next_payload(client: Client) -> object:
    """The next message's payload."""
    async with asyncio.timeout(PATIENCE_S):
        return (await anext(client.messages)).payload
