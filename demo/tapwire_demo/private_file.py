"""Files that hold secrets; the demo writes them as the core does."""

from tapwire_core.private_file import write_private

__all__ = ["write_private"]
