"""Build hook of the wheel: the console's libraries are in it, or there is no wheel. Nothing is fetched here.

npm is where they come from (`make console`); a build that went to the network by itself could not be repeated.
"""

from runpy import run_path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARIES = "src/tapwire_admin/console/libraries.py"
VENDOR = "src/tapwire_admin/console/vendor"


class ConsoleLibraries(BuildHookInterface[Any]):
    """Takes exactly the files that `libraries.py` names into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Stop the build where one is missing. An editable installation may come first, as `make` fetches them with its own npm."""
        if version == "editable":
            return
        libraries = run_path(f"{self.root}/{LIBRARIES}")
        try:
            libraries["require_libraries"](*libraries["list_vendored"]())
        except libraries["LibrariesMissing"] as error:
            self.app.abort(f"tapwire-admin can't be built: {error}; then build again")
        build_data["artifacts"] += [f"/{VENDOR}/{name}" for name in libraries["list_vendored"]()]
