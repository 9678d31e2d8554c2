"""The one normaliser of card ids (CONTRACT.md, "Identity")."""

import re
from typing import Final

CARD_UID_PATTERN: Final = "^([0-9a-f]{8}|[0-9a-f]{14}|[0-9a-f]{20})$"
"""Pattern of a stored `card_uid`: lower-case hex of the 4, 7 or 10 bytes that ISO 14443-3 allows."""

CARD_UID_INPUT_PATTERN: Final = (
    "^" + "|".join(rf"[\s:-]*([0-9A-Fa-f][\s:-]*){{{digits}}}" for digits in (8, 14, 20)).join("()") + "$"
)
"""The pattern of `normalize_card_uid`, for documentation."""

_SEPARATORS: Final = re.compile(r"[\s:\-]+")
_CARD_UID: Final = re.compile(CARD_UID_PATTERN)


class InvalidCardUid(ValueError):
    """The text is not a card id: 8, 14 or 20 hex digits once blanks, colons and hyphens are removed."""


def normalize_card_uid(entered: str | bytes) -> str:
    """Make the stored form from a reader's bytes or a person's text, such as `04 A1:B2-c3`.

    Raises `InvalidCardUid`, with a message that a person can act on.
    """
    text = entered.hex() if isinstance(entered, bytes) else _SEPARATORS.sub("", entered).lower()
    # fullmatch, because `$` would let a trailing newline pass
    if not _CARD_UID.fullmatch(text):
        raise InvalidCardUid("a card id has 8, 14 or 20 hexadecimal digits; blanks, colons and hyphens between them are fine")
    return text
