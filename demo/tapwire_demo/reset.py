"""`make demo-reset`: delete what the demo keeps, so that the next one starts anew."""

import asyncio
import shutil
import sys
from pathlib import Path

from tapwire_demo.demo_file import FOLDER
from tapwire_demo.postgres import remove_postgres
from tapwire_demo.postgres_home import EmbeddedPostgresError


def reset(folder: Path) -> None:
    """Delete the folder and the database that belongs to it; raises `EmbeddedPostgresError` while a demo runs."""
    if folder.exists():
        asyncio.run(remove_postgres(folder))
        shutil.rmtree(folder)


def main() -> None:
    """`python -m tapwire_demo.reset`, in the checkout."""
    try:
        reset(FOLDER)
    except EmbeddedPostgresError as error:
        sys.exit(f"make demo-reset: {error}")
    print("what the demo kept is deleted: the next `make demo` starts anew")


if __name__ == "__main__":
    main()
