"""The libraries that drive the pins: loaded without side effects on the process, with one exception for all that they raise.

While it is loaded, lgpio makes the folder of `LG_WD` the process's current one, makes a pipe with a fixed name there, and opens it
twice by that name. In a folder that can't be written loading fails; in a folder that two nodes share, each may open the other's
pipe and count its pulses. So lgpio gets a folder of its own, which is deleted afterwards: the open pipe needs it no longer.
"""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from gpiozero.exc import GPIOZeroError, PinFactoryFallback

LGPIO: Final = "lgpio"
FOLDER_VARIABLE: Final = "LG_WD"
RUNTIME_FOLDERS: Final = ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR")
"""Variables that name a folder in memory, where a full disk does not matter; systemd sets them."""
logger: Final = logging.getLogger(__name__)


class PinsUnavailable(Exception):
    """The pins can't be used; the text says why."""


@contextmanager
def opening_pins() -> Iterator[None]:
    """Load lgpio, if it is installed, and turn everything that the pins' libraries raise into `PinsUnavailable`."""
    skipped: list[warnings.WarningMessage] = []
    try:
        load_lgpio()
        with warnings.catch_warnings(record=True) as skipped:
            warnings.simplefilter("always", PinFactoryFallback)
            yield
    except pin_errors() as error:
        reasons = "; ".join(str(warning.message).removeprefix("Falling back from ") for warning in skipped)
        raise PinsUnavailable((str(error) or type(error).__name__) + (f" ({reasons})" if reasons else "")) from error
    for warning in skipped:
        logger.warning("%s", warning.message)


def pin_errors() -> tuple[type[Exception], ...]:
    """The exceptions of gpiozero and of the libraries that it loads; it passes on lgpio's own ones, such as `GPIO busy`."""
    library = sys.modules.get(LGPIO)
    return (GPIOZeroError, OSError, RuntimeError, ImportError, *([library.error] if library is not None else []))


def load_lgpio() -> None:
    """Load lgpio and leave the current folder as it is; raises what it raises, and `PinsUnavailable` without a folder for it."""
    if LGPIO in sys.modules or find_spec(LGPIO) is None:
        return
    set_by_user = os.environ.get(FOLDER_VARIABLE)
    try:
        own_folder = tempfile.TemporaryDirectory(prefix="tapwire-node-", dir=_runtime_folder())
    except OSError as error:
        raise PinsUnavailable(
            f"lgpio finds no folder for its pipe ({error.strerror}): set TMPDIR to one that can be written"
        ) from error
    with own_folder as folder, _same_current_folder():
        os.environ[FOLDER_VARIABLE] = folder
        try:
            import_module(LGPIO)
        finally:
            del os.environ[FOLDER_VARIABLE]
            if set_by_user is not None:
                os.environ[FOLDER_VARIABLE] = set_by_user


def _runtime_folder() -> str | None:
    """A folder for this process's runtime files; None for the usual temporary one."""
    named = (os.environ.get(variable, "").split(":")[0] for variable in RUNTIME_FOLDERS)
    return next((folder for folder in named if folder and os.access(folder, os.W_OK | os.X_OK)), None)


@contextmanager
def _same_current_folder() -> Iterator[None]:
    """Return to the current folder afterwards; one that this user may not enter is left for ever."""
    folder = None
    with suppress(OSError):
        folder = os.open(os.curdir, os.O_PATH | os.O_DIRECTORY)
    try:
        yield
    finally:
        if folder is not None:
            with suppress(OSError):
                os.fchdir(folder)
            os.close(folder)
