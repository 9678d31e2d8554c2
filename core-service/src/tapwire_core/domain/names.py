"""Normalisation of names that people type, so that a search finds them in any spelling of the same characters."""

import unicodedata
from typing import Final

_INVISIBLE: Final = (
    r"\s\x01-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
"""Blanks, control characters, and Unicode's default ignorable code points."""
NAME_PATTERN: Final = rf"^[{_INVISIBLE}]*[^\x00{_INVISIBLE}][^\x00]*$"
"""A text with at least one visible character."""


def normalize_name(text: str) -> str:
    """The text in composed form (NFC), without blanks around it."""
    return unicodedata.normalize("NFC", text).strip()
