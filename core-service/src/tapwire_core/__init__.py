"""Tapwire's core service: authorises, holds, settles and keeps the books.

`domain` has the rules, `db` the database, `services` the use cases, `mqtt` the tap nodes' interface. `tapwire_admin` uses the
services and views as a library.
"""

from importlib.metadata import version
from typing import Final

SOFTWARE: Final = f"tapwire-core {version('tapwire-core')}"
