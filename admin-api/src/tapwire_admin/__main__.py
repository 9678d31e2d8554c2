"""`tapwire-admin run`: the admin API on `TAPWIRE_ADMIN_HOST` and `TAPWIRE_ADMIN_PORT`; `install-units`: its systemd unit."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from litestar import Litestar

from tapwire_admin.app import create_app
from tapwire_admin.console.libraries import LibrariesMissing, require_libraries
from tapwire_admin.live import Live
from tapwire_contracts.logs import set_up_logs
from tapwire_contracts.programs import UnitsNotInstalled, add_common_options, add_units_options, print_units_installed
from tapwire_contracts.tasks import run_together
from tapwire_core.broker.tap_toml import DevicesBroker
from tapwire_core.db.engine import Database
from tapwire_core.db.failures import DatabaseUnavailable, translate_database_errors
from tapwire_core.db.installation import require_installation
from tapwire_core.domain.closed_sets import PaymentProviderName
from tapwire_core.errors import DomainError
from tapwire_core.monitoring.health_server import serve_metrics
from tapwire_core.monitoring.http_timeouts import TimedHTTPProtocol
from tapwire_core.payment_providers.configured import open_provider
from tapwire_core.settings import InvalidSettings, Settings, read_settings

PACKAGE: Final = "tapwire-admin"
STREAMS_END_WITHIN_S: Final = 3
"""Time that a stopping server gives open event streams to end."""


def main() -> None:
    """Run one command; exit with 1 and one line on stderr when it fails."""
    arguments = parser().parse_args()
    try:
        if arguments.command == "install-units":
            print_units_installed(PACKAGE, arguments)
            return
        settings = read_settings()
        set_up_logs("admin")
        with translate_database_errors():
            asyncio.run(run_admin(settings))
    except (DomainError, InvalidSettings, LibrariesMissing, UnitsNotInstalled, DatabaseUnavailable, OSError) as error:
        print(f"tapwire-admin: {error}", file=sys.stderr)
        sys.exit(1)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="tapwire-admin", description="Tapwire's admin API. Settings: TAPWIRE_* variables.")
    add_common_options(top, PACKAGE)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="serve the admin API and the console")
    units = commands.add_parser("install-units", help="write the systemd unit, and an example of its settings")
    add_units_options(units, has_settings=True)
    return top


async def run_admin(settings: Settings) -> None:
    """Serve until stopped; raises `NotMigrated`, `CurrencyDiffers`, `InvalidSettings`, or `LibrariesMissing` without assets."""
    require_libraries()
    require_public_url(settings)
    devices_broker = DevicesBroker.of(settings)
    await require_installation(settings.database_url, settings.currency)
    async with Database.open(settings.database_url, settings.policy) as db:
        live, provider = Live(), open_provider(settings, db)
        app = create_app(
            db,
            session_ttl_h=settings.session_ttl_h,
            cookie_secure=settings.cookie_secure,
            live=live,
            devices_broker=devices_broker,
            public_url=settings.public_url,
            provider=provider,
        )
        config = uvicorn.Config(
            app,
            host=settings.admin_host,
            port=settings.admin_port,
            log_config=None,
            access_log=False,
            http=TimedHTTPProtocol,
            timeout_graceful_shutdown=STREAMS_END_WITHIN_S,
        )
        _ignore_resent_signals()
        broker = settings.broker_protocol, settings.broker_ca_file
        followers = [live.follow(settings.broker_url, *broker)] if settings.broker_url else []
        with _metrics_served(app, settings):
            await run_together(uvicorn.Server(config).serve(), *followers)
        if provider is not None:
            await provider.close()


def require_public_url(settings: Settings) -> None:
    """Raise `InvalidSettings` where a company's page would lead guests back to any address that a request names as its own."""
    if settings.payments is PaymentProviderName.STRIPE and not settings.public_url:
        raise InvalidSettings("TAPWIRE_PUBLIC_URL: set it with TAPWIRE_PAYMENTS=stripe; guests come back to it when they have paid")


@contextmanager
def _metrics_served(app: Litestar, settings: Settings) -> Iterator[None]:
    """Serve `/metrics` on its own port while the block runs, if the settings name one."""
    if settings.admin_metrics_port is None:
        yield
        return
    with serve_metrics(app.state.metrics, settings.admin_metrics_port, settings.metrics_host):
        yield


def _ignore_resent_signals() -> None:
    """Ignore the signal that Uvicorn sends again after it has stopped, so that the database is closed in order."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, lambda: None)


if __name__ == "__main__":
    main()
