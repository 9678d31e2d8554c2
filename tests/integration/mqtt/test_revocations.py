"""Connections that a cluster's members must end after a revocation: also when a member, or this program, was away meanwhile."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tapwire_contracts.tasks import end_tasks
from tapwire_core.broker.management_api import BrokerKind, ManagementApi, read_api_addresses
from tapwire_core.broker.revocations import LoginKeeper, api_client
from tapwire_core.db.engine import Database
from tapwire_core.db.views.devices import unclosed_logins
from tapwire_core.services.devices import add_device, broker_hash, revoke_device, rotate_device
from tapwire_demo.processes import LOOPBACK, free_port
from tests.venue import OPERATOR

TAP = "bar/taps/left"
SETTLED_S = 0.4
SOON_S = 0.02
WITHIN_S = 10.0


@dataclass
class Member:
    """A stand-in for the management API of one member of a cluster, which notes what it is told to close."""

    status: int = 204
    port: int = field(default_factory=free_port)
    secret: str = field(default_factory=secrets.token_hex)
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address with the account that it wants."""
        return f"http://tapwire:{self.secret}@{LOOPBACK}:{self.port}"

    @asynccontextmanager
    async def there(self) -> AsyncIterator[None]:
        """Answer during the block."""
        server = await asyncio.start_server(self._answer, LOOPBACK, self.port)
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        account = base64.b64encode(f"tapwire:{self.secret}".encode()).decode()
        status = self.status if f"Basic {account}\r\n" in head else 401
        if status != 401 and head.startswith("GET "):
            status = 200
        elif status != 401:
            self.asked.append(head.split(" HTTP")[0])
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def until_asked(self, times: int = 1) -> None:
        """Wait until it was told so often."""
        async with asyncio.timeout(WITHIN_S):
            while len(self.asked) < times:
                await asyncio.sleep(SOON_S)


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """A file with no service."""
    (tmp_path / "services").touch()
    return tmp_path / "services"


@asynccontextmanager
async def keeping(
    db: Database, services: Path, *members: Member, kind: BrokerKind = BrokerKind.RABBITMQ
) -> AsyncIterator[LoginKeeper]:
    """The program's part that closes connections, without patience."""
    async with api_client(None) as client:
        addresses = read_api_addresses(",".join(member.url for member in members))
        keeper = LoginKeeper(db, services, ManagementApi(kind, client), addresses, settled_s=SETTLED_S)
        task = asyncio.create_task(keeper.keep(SOON_S))
        try:
            yield keeper
        finally:
            await end_tasks(task)


async def until_known(keeper: LoginKeeper) -> None:
    """Wait until the tap may log in."""
    async with asyncio.timeout(WITHIN_S):
        while not (keeper.logins and TAP in keeper.logins.devices):
            await asyncio.sleep(SOON_S)


async def until_settled(db: Database) -> None:
    """Wait until nothing is left to be closed."""
    async with asyncio.timeout(WITHIN_S):
        while await unclosed_logins(db):
            await asyncio.sleep(SOON_S)


@pytest.mark.parametrize(
    ("kind", "status", "request_line"),
    [
        (BrokerKind.RABBITMQ, 204, "DELETE /api/connections/username/bar%2Ftaps%2Fleft"),
        (BrokerKind.EMQX, 204, "DELETE /api/v5/clients/bar%2Ftaps%2Fleft"),
        (BrokerKind.EMQX, 404, "DELETE /api/v5/clients/bar%2Ftaps%2Fleft"),
    ],
)
async def test_a_revoked_devices_connections_are_closed_as_the_broker_wants_it(
    db: Database, services: Path, kind: BrokerKind, status: int, request_line: str
) -> None:
    member = Member(status)
    await add_device(db, OPERATOR, TAP)
    async with member.there(), keeping(db, services, member, kind=kind):
        await revoke_device(db, OPERATOR, TAP)
        await until_settled(db)

    assert set(member.asked) == {request_line}
    assert len(member.asked) > 2, "what an answer of before lets in is closed again and again"


async def test_a_new_secret_cuts_old_connections_at_once_and_when_no_old_answer_counts(db: Database, services: Path) -> None:
    member = Member()
    await add_device(db, OPERATOR, TAP)
    async with member.there(), keeping(db, services, member):
        await rotate_device(db, OPERATOR, TAP)
        await until_settled(db)

    assert len(member.asked) == 2


async def test_a_new_device_and_one_that_was_out_are_not_cut(db: Database, services: Path) -> None:
    member = Member()
    async with member.there(), keeping(db, services, member) as keeper:
        await add_device(db, OPERATOR, TAP)
        await revoke_device(db, OPERATOR, TAP)
        await until_settled(db)
        asked = len(member.asked)
        await add_device(db, OPERATOR, TAP)
        await until_known(keeper)
        await asyncio.sleep(SETTLED_S)

    assert len(member.asked) == asked


async def test_a_member_that_is_away_is_told_when_it_is_back_and_holds_up_no_other(db: Database, services: Path) -> None:
    here, away = Member(), Member()
    await add_device(db, OPERATOR, TAP)
    async with here.there(), keeping(db, services, away, here):
        await rotate_device(db, OPERATOR, TAP)
        await here.until_asked(2)
        assert await unclosed_logins(db)

        async with away.there():
            await until_settled(db)

    assert len(away.asked) == 1, "the time of old answers is over: once is enough"
    assert len(here.asked) == 2


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_a_refusal_is_no_success(db: Database, services: Path, status: int, caplog: pytest.LogCaptureFixture) -> None:
    member = Member(status)
    await add_device(db, OPERATOR, TAP)
    async with member.there(), keeping(db, services, member):
        await revoke_device(db, OPERATOR, TAP)
        async with asyncio.timeout(WITHIN_S):
            while f"answers {status}" not in caplog.text:
                await asyncio.sleep(SOON_S)
        await asyncio.sleep(2 * SETTLED_S)
        assert await unclosed_logins(db) == {TAP: ""}

        member.status = 204
        await until_settled(db)

    assert member.secret not in caplog.text
    assert caplog.text.count(f"answers {status}") == 1


async def test_a_member_that_lets_nobody_in_is_named_before_anybody_is_revoked(
    db: Database, services: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tapwire_core")
    member = Member()
    stranger = Member(port=member.port)
    async with member.there(), keeping(db, services, stranger):
        async with asyncio.timeout(WITHIN_S):
            while "answers 401" not in caplog.text:
                await asyncio.sleep(SOON_S)
        member.secret = stranger.secret
        async with asyncio.timeout(WITHIN_S):
            while "lets connections be closed" not in caplog.text:
                await asyncio.sleep(SOON_S)

    assert caplog.text.count("answers 401") == 1
    assert member.asked == []


async def test_what_was_to_be_closed_is_closed_by_the_next_process(db: Database, services: Path) -> None:
    member = Member()
    await add_device(db, OPERATOR, TAP)
    async with keeping(db, services, member):
        await revoke_device(db, OPERATOR, TAP)
        await asyncio.sleep(SETTLED_S)

    async with member.there(), keeping(db, services, member):
        await until_settled(db)

    assert member.asked


async def test_two_processes_do_it_side_by_side(db: Database, services: Path) -> None:
    member = Member()
    await add_device(db, OPERATOR, TAP)
    async with member.there(), keeping(db, services, member), keeping(db, services, member):
        await rotate_device(db, OPERATOR, TAP)
        await until_settled(db)

    assert 2 <= len(member.asked) <= 4


async def test_a_file_of_services_that_is_broken_meanwhile_leaves_services_in_and_lets_devices_be_revoked(
    db: Database, services: Path, caplog: pytest.LogCaptureFixture
) -> None:
    services.write_text(f"core:{broker_hash('secret')}\n")  # noqa: ASYNC240 - a line
    member = Member()
    await add_device(db, OPERATOR, TAP)
    async with member.there(), keeping(db, services, member) as keeper:
        await until_known(keeper)
        services.write_text("core:in clear\n")  # noqa: ASYNC240 - a line
        await revoke_device(db, OPERATOR, TAP)
        await until_settled(db)

    assert keeper.logins is not None
    assert (list(keeper.logins.devices), list(keeper.logins.services)) == ([], ["core"])
    assert "line 1" in caplog.text
    assert "in clear" not in caplog.text
