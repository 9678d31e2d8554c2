"""Build hook of the five packages: metadata that depends on the release, not on the package."""

import os
from typing import Any, Final

from hatchling.metadata.plugin.interface import MetadataHookInterface

URL_VARIABLE: Final = "TAPWIRE_PROJECT_URL"
"""The address of the repository from which a release is made; `make dist URL=…` sets it. Without it the packages name none."""


class ReleaseMetadata(MetadataHookInterface):
    """Sets `dependencies`, with the siblings that the hook's settings name in exactly the package's own version, and `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add them to a package's metadata."""
        siblings = [f"{name}=={metadata['version']}" for name in self.config.get("siblings", ())]
        metadata["dependencies"] = [*siblings, *self.config["dependencies"]]
        address = os.environ.get(URL_VARIABLE, "").rstrip("/")
        metadata["urls"] = {"Source": address, "Issues": f"{address}/issues"} if address else {}
