"""Problems of a form's fields, in plain words: the field's label, and what to enter instead.

Errors of msgspec and of use cases are for programs: a page shows neither their text nor a field's name.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from tapwire_admin.console.field_labels import FORM_FIELDS
from tapwire_admin.console.formats import Formats
from tapwire_admin.console.translations import N_, translations
from tapwire_admin.requests.bodies import unreadable_body
from tapwire_contracts.reasons import Locale
from tapwire_core.errors import Invalid


class Problem(StrEnum):
    """Kinds of what is wrong with a typed value; `limit` of the error's facts belongs to some."""

    MISSING = "missing"
    NOT_A_NUMBER = "not_a_number"
    NOT_WHOLE = "not_whole"
    DECIMALS = "decimals"
    TOO_LOW = "too_low"
    TOO_HIGH = "too_high"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NOT_A_DAY = "not_a_day"
    OTHER = "other"


TEXTS: Final[Mapping[Problem, str]] = {
    Problem.MISSING: N_("Fill in this field."),
    Problem.NOT_A_NUMBER: N_("Enter a number in digits, such as 12.50."),
    Problem.NOT_WHOLE: N_("Enter a whole number in digits."),
    Problem.DECIMALS: N_("Enter at most %(limit)s decimals, and thousands without a separator."),
    Problem.TOO_LOW: N_("Enter at least %(limit)s."),
    Problem.TOO_HIGH: N_("Enter at most %(limit)s."),
    Problem.TOO_SHORT: N_("Enter at least %(limit)s characters."),
    Problem.TOO_LONG: N_("Enter at most %(limit)s characters."),
    Problem.NOT_A_DAY: N_("Enter a day that exists."),
    Problem.OTHER: N_("This can't be used here."),
}
HINTS: Final[Mapping[str, str]] = {
    "amount_minor": N_("Enter an amount, and not 0."),
    "volume_ml": N_("Enter a volume above 0; a correction may be below it."),
    "initial_volume_ml": N_("Enter a size above 0."),
    "birth_date": N_("Enter a day of 1900 or later, and not in the future."),
    "phone": N_("Write digits, blanks and ( ) . / -, with + at the start."),
    "card_uid": N_("Write the 8, 14 or 20 characters of the card's number: digits and letters from a to f."),
    "username": N_("Write Latin letters, digits and . _ @ -, at most 64, and begin with a letter or a digit."),
    "password": N_("Enter 8 to 200 characters."),
    "new_password": N_("Enter 8 to 200 characters."),
    "venue_id": N_("Write lower-case letters, digits and hyphens, at most 31."),
    "tap_id": N_("Write lower-case letters, digits and hyphens, at most 31."),
    "device_id": N_("Write lower-case letters, digits and hyphens, at most 31."),
    "path": N_("Write lower-case letters, digits and hyphens, at most 31."),
    "time_zone": N_("Choose a time zone from the list, such as Europe/Berlin."),
    "weekdays": N_("Choose at least one day."),
    "percent_off": N_("Enter either a price per litre or per cent off."),
    "valid_to": N_("Enter a day that is not before the first one."),
    "from": N_("Enter a time such as 17:00."),
    "to": N_("Enter a time such as 17:00."),
    "limit_ml": N_("Enter the limit."),
    "limit_g": N_("Enter the limit."),
    "event_types": N_("Choose at least one event."),
    "since": N_("Enter the time to start from."),
    "resolution": N_("Choose one of the resolutions."),
}
"""What to enter into a field, where the kind of the problem does not say so."""
_BOUND: Final = re.compile(r"(?P<length>of length )?(?P<sign>>=|<=|>|<) (?P<limit>-?[0-9.]+)")


def read_problem(error: Exception) -> Invalid:
    """The error of a form's body, from msgspec's."""
    text = str(error)
    extra = unreadable_body(error).extra
    at: Mapping[str, Any] = extra[0] if isinstance(extra, list) and extra else {}
    problem, bound = Problem.OTHER, _BOUND.search(text)
    if "missing required field" in text:
        problem = Problem.MISSING
    elif bound and bound["length"]:
        problem = Problem.TOO_SHORT if ">" in bound["sign"] else Problem.TOO_LONG
    elif bound:
        problem = Problem.TOO_LOW if ">" in bound["sign"] else Problem.TOO_HIGH
    elif "Expected `float" in text or "Number out of range" in text:
        problem = Problem.NOT_A_NUMBER
    elif "Expected `int" in text or "Integer value" in text:
        problem = Problem.NOT_WHOLE
    elif "Expected `date" in text or "ISO8601" in text or "RFC3339" in text:
        problem = Problem.NOT_A_DAY
    return Invalid(text, field=at.get("key", ""), problem=problem, limit=int(float(bound["limit"])) if bound else None)


def explain_field(locale: Locale, formats: Formats, facts: Mapping[str, object]) -> str:
    """What is wrong with a field; empty without one."""
    field = str(facts.get("field") or "")
    if not field:
        return ""
    texts = translations(locale)
    problem, limit = Problem(str(facts.get("problem") or Problem.OTHER)), facts.get("limit")
    if "max_volume_ml" in facts:
        problem, limit = Problem.TOO_HIGH, facts["max_volume_ml"]
    hint = HINTS.get(field) if problem is Problem.OTHER else None
    text = texts.gettext(hint or TEXTS[problem])
    if "%(limit)s" in text:
        text %= {"limit": _shown_limit(formats, field, problem, limit)}
    label = FORM_FIELDS.get(field)
    return f"{texts.gettext(label)}: {text}" if label else text


def _shown_limit(formats: Formats, field: str, problem: Problem, limit: object) -> str:
    assert isinstance(limit, int)
    if problem not in (Problem.TOO_LOW, Problem.TOO_HIGH):
        return formats.number(limit)
    if field.endswith("_minor"):
        return formats.money(limit)
    return formats.volume(limit) if field.endswith("_ml") else formats.number(limit)
