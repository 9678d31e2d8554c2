"""Which setting an environment variable names."""

from tapwire_core.settings import PREFIX, Settings


def is_setting(variable: str) -> bool:
    """Return whether core and admin read this variable: a setting's own, or the one that names its file."""
    name = variable.removeprefix(PREFIX).lower()
    return variable.startswith(PREFIX) and (name in Settings.model_fields or name.removesuffix("_file") in Settings.model_fields)
