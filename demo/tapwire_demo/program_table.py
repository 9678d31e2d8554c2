"""The demo's programs with their settings and logins."""

import secrets
from pathlib import Path
from typing import Final

from tapwire_contracts.acl import BrokerRole
from tapwire_demo.address import ConsoleAddress
from tapwire_demo.bar import AT_THE_COUNTER, TAPS, VENUE_ID, BarTap
from tapwire_demo.broker import Account, EmbeddedBroker
from tapwire_demo.demo_file import DemoCard, DemoFile, DemoTap, Login
from tapwire_demo.programs import Program
from tapwire_demo.set_up import SetUp

CORE: Final = "core"
ADMIN: Final = "admin"
WATCHER: Final = "watcher"
_ROLES: Final = {CORE: BrokerRole.CORE, ADMIN: BrokerRole.WATCHER, WATCHER: BrokerRole.WATCHER}


def accounts(bar: SetUp) -> list[Account]:
    """The broker's accounts."""
    services = [Account(name, secrets.token_urlsafe(), role) for name, role in _ROLES.items()]
    return services + [Account(str(path), secret, BrokerRole.DEVICE) for path, secret in bar.secrets.items()]


def core(database_url: str, broker: EmbeddedBroker) -> Program:
    """A core worker."""
    return Program("core", ("tapwire_core", "run"), _service_settings(database_url, broker, CORE))


def admin_api(database_url: str, broker: EmbeddedBroker, address: ConsoleAddress) -> Program:
    """The admin API, with the console."""
    own = {
        "TAPWIRE_ADMIN_HOST": address.host,
        "TAPWIRE_ADMIN_PORT": str(address.port),
        "TAPWIRE_DEVICE_BROKER_URL": f"mqtt://{broker.host}:{broker.device_port}",
    }
    if address.outside_url:
        own["TAPWIRE_PUBLIC_URL"] = address.outside_url
    return Program("admin", ("tapwire_admin", "run"), _service_settings(database_url, broker, ADMIN) | own)


def tap_node(tap: BarTap, config: Path) -> Program:
    """A simulated tap's node; its settings stand in its tap.toml."""
    return Program(f"tap-{tap.tap_id}", ("tapwire_node", "run", "--config", config), {})


def books_check(database_url: str) -> Program:
    """The proof that the books balance."""
    return Program("check", ("tapwire_core", "check"), {"TAPWIRE_DATABASE_URL": database_url})


def demo_file(bar: SetUp, broker: EmbeddedBroker, api_url: str, pids: dict[str, int]) -> DemoFile:
    """The demo's description for other programs: with the cards that no simulated tap uses, and one without money."""
    simulated = {tap.path for tap in TAPS if tap.drinkers}
    at_the_counter = [guest for guest in bar.present if guest.person in AT_THE_COUNTER]
    penniless = [guest for guest in bar.present if guest.person not in AT_THE_COUNTER and not guest.person.purse_minor]
    watcher = broker.account(WATCHER)
    return DemoFile(
        api_url=api_url,
        broker_url=f"mqtt://{broker.host}:{broker.port}",
        operator=bar.operator,
        watcher=Login(watcher.username, watcher.password),
        venue_id=VENUE_ID,
        taps=[DemoTap(str(path), str(path), secret, simulated=path in simulated) for path, secret in bar.secrets.items()],
        cards=[DemoCard(guest.card_uid, str(guest.guest_id), guest.balance_minor) for guest in (*at_the_counter, *penniless)],
        pids=pids,
    )


def _service_settings(database_url: str, broker: EmbeddedBroker, account: str) -> dict[str, str]:
    return {
        "TAPWIRE_DATABASE_URL": database_url,
        "TAPWIRE_BROKER_URL": broker.url(account),
        "TAPWIRE_BROKER_PROTOCOL": broker.protocol,
        "TAPWIRE_PAYMENTS": "test",
        "TAPWIRE_TEST_PAYMENTS_ALLOWED": "true",
    }
