"""What taking a pin may raise: gpiozero's errors, and those of the library under it, which it lets through."""

from importlib import import_module
from typing import Final

from gpiozero.exc import GPIOZeroError


def errors_of_lgpio() -> tuple[type[Exception], ...]:
    """Such as `GPIO busy`, where lgpio is installed."""
    try:
        error: type[Exception] = import_module("lgpio").error
    except ImportError:
        return ()
    return (error,)


PIN_ERRORS: Final[tuple[type[Exception], ...]] = (GPIOZeroError, OSError, RuntimeError, ImportError, *errors_of_lgpio())
