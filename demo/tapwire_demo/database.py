"""`python -m tapwire_demo.database FOLDER`: a PostgreSQL of your own, without root, until it is told to end.

For a machine that has none. It writes two addresses, passwords included, mode 600: FOLDER/owner-url for the role that owns the
tables, and FOLDER/url for the role that programs log in with, which `tapwire-core migrate` makes. The data stay in the folder.
"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from tapwire_core.broker.private_file import write_private
from tapwire_demo.postgres import embedded_postgres
from tapwire_demo.postgres_home import EmbeddedPostgresError


def main() -> None:
    """Run it; exit 1 with one clear line when it can't be had."""
    parser = argparse.ArgumentParser(prog="tapwire_demo.database", description="A PostgreSQL of your own in a folder.")
    parser.add_argument("folder", type=Path)
    try:
        folder: Path = parser.parse_args().folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        asyncio.run(_serve(folder))
    except (EmbeddedPostgresError, OSError) as error:
        print(f"tapwire_demo.database: {error}", file=sys.stderr)
        sys.exit(1)


async def _serve(folder: Path) -> None:
    told = asyncio.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, told.set)
    async with embedded_postgres(folder) as postgres:
        addresses = {folder / "owner-url": postgres.url, folder / "url": postgres.application_url_of()}
        for file, url in addresses.items():
            write_private(file, url)
        await told.wait()
    for file in addresses:
        file.unlink()


if __name__ == "__main__":
    main()
