"""Build hook of the packages: what they depend on, with the siblings in exactly the package's own version."""

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ExactVersions(MetadataHookInterface):
    """Gives `dependencies` what the hook's own settings name: `siblings`, with the version added, and `dependencies`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the dependencies to a package's metadata."""
        siblings = [f"{name}=={metadata['version']}" for name in self.config["siblings"]]
        metadata["dependencies"] = [*siblings, *self.config["dependencies"]]
