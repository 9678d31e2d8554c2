"""Search words: the one normaliser of what is found and of what is typed to find it. Pure.

Words are folded: without accents, without case, in any order, and found by their beginning. A telephone number is found by any part
of its digits in any spelling, a card by the beginning of its number, a guest without a name also by its end.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from uuid import UUID

from tapwire_core.domain.names import TRUNK_ZERO, phone_digits

MIN_DIGITS: Final = 3
"""The fewest digits that are looked for in telephone numbers."""
MIN_CARD_DIGITS: Final = 4
"""The fewest hexadecimal digits that are looked for in card numbers."""
LONGEST_COUNTRY_CODE: Final = 3
MAX_WORDS: Final = 12
"""Words of a query; more are left out."""
_LETTERS: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t"}
)
"""Letters that Unicode does not decompose."""
_INTERNATIONAL: Final = re.compile(r"(^|[\s(])(\+|00)\d")
_CARD: Final = re.compile(r"[0-9a-f]+")
_SEPARATORS: Final = re.compile(r"[\s:\-]+")


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A query: `tsquery` in PostgreSQL's notation, None where no word was typed; `exact` looks for whole words only."""

    tsquery: str | None
    exact: str | None
    card_prefix: str | None
    identifier: UUID | None


def words_of(*texts: str | None) -> list[str]:
    """The words of some texts, folded, each once; `O'Neil` is found as `o`, `neil` and `oneil`."""
    words: list[str] = []
    for text in filter(None, texts):
        words += _split(_fold(text))
        words += _split(re.sub(r"(?<=\w)['’`ʼ.-](?=\w)", "", _fold(text)))
    return list(dict.fromkeys(words))


def typed_words(text: str) -> list[str]:
    """The words of a query, folded, in their order."""
    return _split(_fold(text))[:MAX_WORDS]


def finds(typed: str, *texts: str | None) -> bool:
    """True if each typed word begins a word of the texts; for what is in no index."""
    words = words_of(*texts)
    return all(any(word.startswith(begun) for word in words) for begun in typed_words(typed))


def finds_whole(typed: str, *texts: str | None) -> bool:
    """True if each typed word is a word of the texts, and not only the beginning of one."""
    return set(typed_words(typed)) <= set(words_of(*texts))


def guest_words(first_name: str | None, last_name: str | None, phone: str | None, card_digits: Sequence[str] = ()) -> list[str]:
    """The words by which a guest is found; one without a name also by the last digits of each card."""
    names = words_of(first_name, last_name) or words_of(*card_digits)
    return [*names, *phone_words(phone)]


def phone_words(phone: str | None) -> list[str]:
    """The words of a telephone number: each ending of its digits, and all of them."""
    digits = phone_digits(phone or "")
    endings = [f"#{digits[start:]}" for start in range(len(digits) - MIN_DIGITS + 1)]
    return [*endings, f"={digits}"] if digits else []


def phone_query(phone: str) -> str | None:
    """The query for guests with exactly this telephone number, in any spelling; None without a digit."""
    digits = phone_digits(phone)
    return " | ".join(_quoted(f"={number}") for number in _national_forms(phone, digits)) if digits else None


def query_of(text: str) -> SearchQuery:
    """Read what was typed."""
    words = typed_words(text)
    card = _SEPARATORS.sub("", text).lower()
    try:
        identifier = UUID(text.strip())
    except ValueError:
        identifier = None
    return SearchQuery(
        tsquery=_tsquery(text, words, beginning=True),
        exact=_tsquery(text, words, beginning=False),
        card_prefix=card if len(card) >= MIN_CARD_DIGITS and _CARD.fullmatch(card) else None,
        identifier=identifier,
    )


def _tsquery(text: str, words: list[str], *, beginning: bool) -> str | None:
    parts = []
    for is_number, group in groupby(words, key=str.isdecimal):
        listed = list(group)
        each = " & ".join(_quoted(word, beginning=beginning) for word in listed)
        digits = phone_digits("".join(listed))
        if is_number and len(digits) >= MIN_DIGITS:
            numbers = [_quoted(f"#{digits}", beginning=True)]
            numbers += [_quoted(f"={number}") for number in _national_forms(text, digits)[1:]]
            each = f"({' | '.join(numbers)} | ({each}))"
        parts.append(each)
    return " & ".join(parts) or None


def _national_forms(typed: str, digits: str) -> list[str]:
    """The digits, and for an international number also those without a country code: a number may be stored without one."""
    is_international = _INTERNATIONAL.search(typed) is not None
    dropped = range(1, LONGEST_COUNTRY_CODE + 1) if is_international else ()
    return [digits, *(digits[count:] for count in dropped if len(digits) - count >= MIN_DIGITS * 2)]


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.replace(TRUNK_ZERO, "")).casefold().translate(_LETTERS)
    return "".join(mark for mark in unicodedata.normalize("NFKD", decomposed) if not unicodedata.combining(mark))


def _split(folded: str) -> list[str]:
    marks = "".join(mark if mark.isalnum() or unicodedata.category(mark).startswith("M") else " " for mark in folded)
    return marks.split()


def _quoted(word: str, *, beginning: bool = False) -> str:
    # words have letters, digits, `#` and `=` alone: nothing in them ends the quotes
    return f"'{word}':*" if beginning else f"'{word}'"
