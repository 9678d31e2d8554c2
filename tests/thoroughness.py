"""How often a repeating test repeats: fewer times in `make test` than in `make test-long`, which sets THOROUGH."""

import os
from typing import Final, TypeVar

Value = TypeVar("Value")

THOROUGH: Final = bool(os.environ.get("THOROUGH"))


def short_or_long(short: Value, long: Value) -> Value:
    """The value for `make test`, or the one for `make test-long`; the test has the marker `thorough`."""
    return long if THOROUGH else short
