"""Command lines of `make`: an argument that can't be used is refused with one sentence, in the words in which it was given."""

import argparse
import math
import re
from typing import Final, NoReturn

OPTION: Final = re.compile(r"^argument [^:]+: ")


class MakeParser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage: people typed `make`, not the options."""

    def error(self, message: str) -> NoReturn:
        """Say it and exit with 2."""
        self.exit(2, f"{self.prog}: {OPTION.sub('', message)}\n")


def seconds_above_zero(text: str) -> float:
    """Parse a number of seconds above 0."""
    return _above_zero("SECONDS", text)


def minutes_above_zero(text: str) -> float:
    """Parse a number of minutes above 0."""
    return _above_zero("MINUTES", text)


def port_number(text: str) -> int:
    """Parse a port."""
    if text.isdecimal() and 1 <= int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError(f"PORT={text}: write a number from 1 to 65535")


def _above_zero(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isfinite(number) and number > 0:
        return number
    raise argparse.ArgumentTypeError(f"{name}={text}: write a number above 0")
