"""Texts that people type: the characters that are refused, and the one form in which names are stored.

Refused are control characters, line separators and Unicode's bidirectional overrides: they forge lines in logs and exports, and
make a text read otherwise than it is.
"""

import re
import unicodedata
from typing import Final

from tapwire_contracts.unsafe_text import UNSAFE, UNSAFE_IN_A_LINE

_BLANKS: Final = r" \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_INVISIBLE: Final = (
    _BLANKS + r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2065\u206a-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
"""Blanks, and Unicode's default ignorable code points that are not refused."""
NAME_PATTERN: Final = rf"^[{_INVISIBLE}]*[^{UNSAFE_IN_A_LINE}{_INVISIBLE}][^{UNSAFE_IN_A_LINE}]*$"
"""A text of one line with at least one visible character."""
LINE_PATTERN: Final = rf"^[^{UNSAFE_IN_A_LINE}]*$"
"""A text of one line."""
LINES_PATTERN: Final = rf"^[^{UNSAFE}]*$"
"""A text of several lines; tabs are allowed."""
PHONE_PATTERN: Final = r"^\(?\+?[0-9 ().\/-]*[0-9][0-9 ().\/-]*$"
"""A telephone number: digits, blanks and `( ) . / -`, and a `+` at the start."""
TRUNK_ZERO: Final = "(0)"
"""A zero that is dialled within the country alone."""

VISIBLE_DIGITS: Final = 2
ERASED_GUEST: Final = "Erased guest"
"""What an erased guest is called; the console has it in the reader's language."""

_NAME: Final = re.compile(NAME_PATTERN)
_PHONE: Final = re.compile(PHONE_PATTERN)
_HYPHENS: Final = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))


def normalize_name(text: str) -> str:
    """The text in composed form (NFC), without blanks around it."""
    return unicodedata.normalize("NFC", text).strip()


def fold_username(username: str) -> str:
    """The form in which login names are compared: without case, as SQL's `lower` of their ASCII letters."""
    return username.casefold()


def is_name(text: str) -> bool:
    """Return whether the text is a name: one line, with a visible character."""
    return _NAME.fullmatch(text) is not None


def normalize_phone(text: str) -> str:
    """The text with plain digits, blanks and hyphens, as keyboards of all scripts write them."""
    plain = unicodedata.normalize("NFKC", text.strip()).translate(_HYPHENS)
    return "".join(str(unicodedata.decimal(mark)) if mark.isdecimal() else mark for mark in plain)


def phone_digits(text: str) -> str:
    """The digits by which telephone numbers are compared: without those that only say how one is dialled, `00`, `0` and `(0)`."""
    plain = unicodedata.normalize("NFKC", text).replace(TRUNK_ZERO, "")
    digits = "".join(str(unicodedata.decimal(mark)) for mark in plain if mark.isdecimal())
    return digits.lstrip("0") or digits[-1:]


def mask_phone(phone: str | None) -> str | None:
    """A telephone number of which only the last two digits can be read, for lists."""
    if phone is None:
        return None
    shown = len(phone) - VISIBLE_DIGITS
    return "".join("•" if mark.isdecimal() and place < shown else mark for place, mark in enumerate(phone))


def is_phone(text: str) -> bool:
    """Return whether a normalized text is a telephone number."""
    return _PHONE.fullmatch(text) is not None
