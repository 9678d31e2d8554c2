"""`make demo`: a whole bar on one machine, whose guests pour until somebody ends it.

What is needed first comes first and goes last: database, broker, core and admin API, tap nodes. Each is a block that ends what it
began, however the demo ends, so that no process stays behind.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tapwire_contracts.topics import ROOT
from tapwire_core.db.engine import Database
from tapwire_core.db.failures import DatabaseUnavailable, translate_database_errors
from tapwire_core.db.schema import migrate
from tapwire_core.db.views.devices import broker_logins
from tapwire_core.domain.policy import Policy
from tapwire_core.errors import NotMigrated, Refused
from tapwire_demo.address import ConsoleAddress
from tapwire_demo.bar import AT_THE_TAPS, TAPS, VENUE_ID, VISITOR, VISITOR_COMES_AFTER_S, VISITOR_LEAVES_AFTER_S, BarTap
from tapwire_demo.broker import BrokerKind, EmbeddedBroker, open_broker
from tapwire_demo.broker_listener import listen
from tapwire_demo.demo_file import remove_demo_file, write_demo_file
from tapwire_demo.money_format import CURRENCY, amount
from tapwire_demo.postgres import EmbeddedPostgres, embedded_postgres
from tapwire_demo.program_table import WATCHER, accounts, admin_api, books_check, core, demo_file, tap_node
from tapwire_demo.programs import Crew, Program, start_program
from tapwire_demo.screen import Screen
from tapwire_demo.set_up import SetUp, set_up
from tapwire_demo.staff import change_low_kegs, check_in, check_out, fill_purses, rearm
from tapwire_demo.story import Line, Mood, Story
from tapwire_demo.tap_files import write_tap_files

READY_TIMEOUT_S: Final = 60.0
CHECK_TIMEOUT_S: Final = 60.0
SERVERS_CHECK_S: Final = 0.5
LOGINS_CHECK_S: Final = 0.5
UPKEEP_S: Final = 2.0
POOL_SIZE: Final = 2
_POLL_S: Final = 0.05
SIMULATED: Final = tuple(tap for tap in TAPS if tap.drinkers)


class DemoFailed(Exception):
    """The demo can't go on, or did not show what it should; the text says why."""


async def run_demo(folder: Path, seconds: float | None, broker_kind: BrokerKind, address: ConsoleAddress, screen: Screen) -> None:
    """Run until cancelled, or for so long and then check the books; raises `DemoFailed`, and what its parts raise."""
    async with embedded_postgres(folder) as postgres:
        remove_demo_file(folder)
        _log_to(folder / "logs")
        screen.say(f"{'Setting up' if postgres.created else 'Opening'} the bar in {folder}/ …", "dim")
        await _migrate(postgres)
        async with Database.open(postgres.application_url_of(), Policy(), pool_size=POOL_SIZE) as db:
            bar = await set_up(db, folder)
            async with open_broker(broker_kind, folder / "broker", accounts(bar)) as broker:
                demo = Demo(folder, screen, postgres, db, broker, bar, address)
                async with demo.open():
                    await asyncio.sleep(seconds) if seconds else await asyncio.Event().wait()
                demo.sum_up()
        await _check_books(folder, postgres.application_url_of(), screen)
        if not demo.story.tally.settled:
            raise DemoFailed(f"nobody poured; see {folder}/logs/")


class Demo:
    """A running demo, once its servers are there."""

    def __init__(
        self,
        folder: Path,
        screen: Screen,
        postgres: EmbeddedPostgres,
        db: Database,
        broker: EmbeddedBroker,
        bar: SetUp,
        address: ConsoleAddress,
    ) -> None:
        self._folder = folder
        self._screen = screen
        self._postgres = postgres
        self._db = db
        self._broker = broker
        self._bar = bar
        self._address = address
        self._shown = False
        self._crew = Crew(folder / "logs", self._note_restart)
        self.story = Story({guest.card_uid: guest.person.first_name for guest in bar.present}, {tap.path: tap.name for tap in TAPS})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Have everything at work during the block, and show what happens."""
        database_url = self._postgres.application_url_of()
        services = [core(database_url, self._broker), admin_api(database_url, self._broker, self._address)]
        nodes = [self._tap_node(tap) for tap in SIMULATED]
        async with asyncio.TaskGroup() as tasks:
            besides = [
                tasks.create_task(step)
                for step in (self._listen(), self._keep_servers(), self._keep_logins(), self._look_after_bar())
            ]
            try:
                async with self._crew.at_work(services):
                    await self._until_ready()
                    async with self._crew.at_work(nodes):
                        self._write_file()
                        self._introduce()
                        self._shown = True
                        with self._screen.showing(self.story.taps.values()):
                            yield
            finally:
                remove_demo_file(self._folder)
                for task in besides:
                    task.cancel()

    def sum_up(self) -> None:
        """Say what has happened."""
        tally = self.story.tally
        self._screen.say(
            f"\nGrants: {tally.grants}. Denials: {sum(tally.denials.values())}. Settled pours: {tally.settled}, "
            f"{tally.volume_ml:,} ml for {amount(tally.amount_minor)} {CURRENCY}."
        )

    def _tap_node(self, tap: BarTap) -> Program:
        cards = {guest.person.phone: guest.card_uid for guest in self._bar.present}
        folder = self._folder / "taps" / tap.tap_id
        return tap_node(tap, write_tap_files(folder, tap, self._bar.secrets[tap.path], self._broker, cards))

    async def _listen(self) -> None:
        await listen(
            self._broker,
            self._broker.account(WATCHER),
            lambda topic, payload: self._screen.tell(self.story.hear(topic, payload)),
        )

    async def _until_ready(self) -> None:
        """Wait for the core and the admin API, so that the first guest is served at once; raises `DemoFailed`."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not (self.story.cores and await answers(self._address)):
            if time.monotonic() > deadline:
                missing = "the admin API" if self.story.cores else "the core"
                raise DemoFailed(f"{missing} is not there after {READY_TIMEOUT_S:.0f} s; see {self._folder}/logs/")
            await asyncio.sleep(_POLL_S)

    async def _keep_servers(self) -> None:
        """Start database and broker again when somebody killed them."""
        while True:
            await asyncio.sleep(SERVERS_CHECK_S)
            for server in (self._postgres, self._broker):
                if not server.running:
                    await server.start()
                    self._note_restart(f"{server.name} is started again")

    async def _keep_logins(self) -> None:
        """Let devices in at the broker as the core knows them: added, rotated or revoked while the demo runs."""
        while True:
            with contextlib.suppress(DatabaseUnavailable), translate_database_errors():
                await self._broker.set_device_logins(await broker_logins(self._db))
            await asyncio.sleep(LOGINS_CHECK_S)

    def _write_file(self) -> None:
        servers = {"demo": os.getpid(), self._postgres.name: self._postgres.pid}
        if self._broker.pid is not None:
            servers[self._broker.name] = self._broker.pid
        write_demo_file(self._folder, demo_file(self._bar, self._broker, self._address.url, servers | self._crew.pids))

    def _introduce(self) -> None:
        broker, watcher = self._broker, self._broker.account(WATCHER)
        login_options = f"-u {watcher.username} -P {watcher.password}"
        guest = self._bar.page_guest.person.first_name if self._bar.page_guest else ""
        login, url, outside = self._bar.operator, self._address.url, self._address.outside_url
        for line in (
            "",
            f"  console  {url}",
            *([f"  tablet   {outside}"] if outside else []),
            f"  menu     {outside or url}/menu/{VENUE_ID}   (for everybody, without a login)",
            *([f"  guest    {outside or url}{self._bar.guest_page}   (what {guest} sees on a telephone)"] if guest else []),
            f"  API      {url}/api   (its description: {url}/schema)",
            f"  login    {login.username}   password {login.password}",
            f"  broker   mqtt://{broker.host}:{broker.port}   ({broker.kind})",
            f"  topics   mosquitto_sub -h {broker.host} -p {broker.port} {login_options} -v -t '{ROOT}/#'",
            "           or, in this folder: make watch",
            f"  more     {self._folder}/demo.json (logins, taps, cards)   {self._folder}/logs/",
            "  end      Ctrl-C",
            "",
        ):
            self._screen.say(line)
        self._screen.tell(Line("", text, Mood.BAD) for text in self._bar.away)

    def _note_restart(self, text: str) -> None:
        self._screen.tell([Line("", text, Mood.BAD)])
        if self._shown:
            self._write_file()

    async def _look_after_bar(self) -> None:
        begun = time.monotonic()
        while True:
            await asyncio.sleep(UPKEEP_S)
            try:
                with translate_database_errors():
                    done = await fill_purses(self._db, AT_THE_TAPS) + await change_low_kegs(self._db, SIMULATED)
                    done += await rearm(self._db, tuple(self.story.at_limit))
                    done += await self._see_visitor(time.monotonic() - begun)
                self.story.at_limit.clear()
            except (DatabaseUnavailable, Refused) as error:
                done = [f"the staff can't help: {error}"]
            self._screen.tell(Line("", text, Mood.QUIET) for text in done)

    async def _see_visitor(self, age_s: float) -> list[str]:
        """Check the visitor in or out when it is time; what was done."""
        if age_s >= VISITOR_LEAVES_AFTER_S:
            return await check_out(self._db, VISITOR)
        return await check_in(self._db, VISITOR) if age_s >= VISITOR_COMES_AFTER_S else []


async def _migrate(postgres: EmbeddedPostgres) -> None:
    try:
        await migrate(postgres.url, postgres.application_url_of())
    except NotMigrated as error:
        raise DemoFailed(f"the demo's data are of another version: delete them with `make demo-reset` ({error})") from error


def _log_to(logs: Path) -> None:
    """Keep what the libraries in this process say away from the story."""
    logs.mkdir(mode=0o700, exist_ok=True)
    logging.basicConfig(filename=logs / "demo.log", level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")


async def answers(address: ConsoleAddress) -> bool:
    """Return whether the admin API is ready."""
    try:
        reader, writer = await asyncio.open_connection(address.reached_at, address.port)
    except OSError:
        return False
    try:
        writer.write(b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n")
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()


async def _check_books(folder: Path, database_url: str, screen: Screen) -> None:
    """Let `tapwire-core check` say whether the books balance; raises `DemoFailed` when they don't."""
    check = start_program(books_check(database_url), folder / "logs" / "check.log")
    try:
        if not await check.ended(CHECK_TIMEOUT_S):
            raise DemoFailed(f"the books check did not end within {CHECK_TIMEOUT_S:.0f} s")
    finally:
        await check.stop()
    screen.say(check.log_tail())
    if check.exit_code != 0:
        raise DemoFailed("the books do not balance")
