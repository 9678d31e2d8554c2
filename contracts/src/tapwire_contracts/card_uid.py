"""The one normaliser of card ids (CONTRACT.md, "Identity")."""

import re
from enum import StrEnum
from typing import Final

CARD_UID_PATTERN: Final = "^([0-9a-f]{8}|[0-9a-f]{14}|[0-9a-f]{20})$"
"""Pattern of a stored `card_uid`: lower-case hex of the 4, 7 or 10 bytes that ISO 14443-3 allows."""

CARD_UID_INPUT_PATTERN: Final = (
    "^" + "|".join(rf"[\s:-]*([0-9A-Fa-f][\s:-]*){{{digits}}}" for digits in (8, 14, 20)).join("()") + "$"
)
"""The pattern of `normalize_card_uid`, for documentation."""

_SINGLE_SIZE: Final = 8
_RANDOM: Final = "08"
_CASCADE_TAG: Final = "88"
_SEPARATORS: Final = re.compile(r"[\s:\-]+")
_CARD_UID: Final = re.compile(CARD_UID_PATTERN)


class CardUidProblem(StrEnum):
    """Reasons for which a card id is refused, or issued with a warning (ISO/IEC 14443-3, "UID contents")."""

    RANDOM = "card_uid_random"
    """4 bytes that begin with 08: a telephone or a passport makes a new id at each reading."""
    INVALID = "card_uid_invalid"
    """No id of a card: all bytes 00 or ff, or a wrong number of bytes."""
    PARTIAL = "card_uid_partial"
    """4 bytes that begin with 88, the cascade tag: probably the first part of a longer id. A warning."""


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


def card_uid_problem(card_uid: str) -> CardUidProblem | None:
    """Return what is wrong with a normalized card id, before the card is issued; None for a good one."""
    if not _CARD_UID.fullmatch(card_uid) or set(card_uid) in ({"0"}, {"f"}):
        return CardUidProblem.INVALID
    if len(card_uid) == _SINGLE_SIZE and card_uid.startswith(_RANDOM):
        return CardUidProblem.RANDOM
    if len(card_uid) == _SINGLE_SIZE and card_uid.startswith(_CASCADE_TAG):
        return CardUidProblem.PARTIAL
    return None
