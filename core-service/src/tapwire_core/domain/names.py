"""Texts that people type: the characters that are refused, and the one form in which names are stored.

Refused are control characters, line separators and Unicode's bidirectional overrides: they forge lines in logs and exports, and
make a text read otherwise than it is.
"""

import re
import unicodedata
from typing import Final

_ALWAYS_REFUSED: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
_REFUSED: Final = _ALWAYS_REFUSED + r"\t\n\r"
_BLANKS: Final = r" \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_INVISIBLE: Final = (
    _BLANKS + r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2065\u206a-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
"""Blanks, and Unicode's default ignorable code points that are not refused."""
NAME_PATTERN: Final = rf"^[{_INVISIBLE}]*[^{_REFUSED}{_INVISIBLE}][^{_REFUSED}]*$"
"""A text of one line with at least one visible character."""
LINE_PATTERN: Final = rf"^[^{_REFUSED}]*$"
"""A text of one line."""
LINES_PATTERN: Final = rf"^[^{_ALWAYS_REFUSED}]*$"
"""A text of several lines; tabs are allowed."""
PHONE_PATTERN: Final = r"^\(?\+?[0-9 ().\/-]*[0-9][0-9 ().\/-]*$"
"""A telephone number: digits, blanks and `( ) . / -`, and a `+` at the start."""

VISIBLE_DIGITS: Final = 2

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


def mask_phone(phone: str | None) -> str | None:
    """A telephone number of which only the last two digits can be read, for lists."""
    if phone is None:
        return None
    shown = len(phone) - VISIBLE_DIGITS
    return "".join("•" if mark.isdecimal() and place < shown else mark for place, mark in enumerate(phone))


def is_phone(text: str) -> bool:
    """Return whether a normalized text is a telephone number."""
    return _PHONE.fullmatch(text) is not None
