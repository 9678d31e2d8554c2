"""Build hook of the five packages: no source archive of one package is built.

It could not be built itself: its version, its metadata and the console's libraries come from the rest of the repository, which is
the source that a release names.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NoSourceArchive(BuildHookInterface[Any]):
    """Ends the build with a sentence."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Say what to build instead."""
        self.app.abort(f"{self.metadata.name} has no source archive, the source is the repository: build wheels with `make dist`")
