"""Types of fields in requests: limits of length, amount and characters, which the API's documentation shows.

The NUL character is refused everywhere: PostgreSQL can't store it.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

from litestar.openapi.spec import Schema
from msgspec import Meta

from tapwire_contracts.card_uid import CARD_UID_INPUT_PATTERN
from tapwire_contracts.topics import DEVICE_PATH_PATTERN, SLUG_PATTERN
from tapwire_core.domain.calibrations import MIN_MEASURED_ML
from tapwire_core.domain.names import (
    LINE_PATTERN,
    LINES_PATTERN,
    NAME_PATTERN,
    PHONE_PATTERN,
    normalize_name,
    normalize_phone,
)
from tapwire_core.domain.serving_limits import MAX_PATRONS
from tapwire_core.domain.tax import BASIS_POINTS
from tapwire_core.domain.webhooks import MAX_URL_LENGTH
from tapwire_core.services.request_limits import (
    MAX_AMOUNT_MINOR,
    MAX_CARDS,
    MAX_CLEANING_INTERVAL_DAYS,
    MAX_COMMENT_LENGTH,
    MAX_GLASS_ML,
    MAX_KEG_LOW_MINUTES,
    MAX_KEGS,
    MAX_MORE_HOURS,
    MAX_NAME_LENGTH,
    MAX_PASSWORD_LENGTH,
    MAX_PHONE_LENGTH,
    MAX_POUR_ML,
    MAX_PRICE_MINOR,
    MAX_PULSES_PER_LITER,
    MAX_REASON_LENGTH,
    MAX_VISIT_HOURS,
    MAX_VOLUME_ML,
    MIN_PASSWORD_LENGTH,
)
from tapwire_core.services.users import USERNAME_PATTERN

NO_NUL: Final = r"^[^\x00]*$"
CLOCK_PATTERN: Final = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
MAX_CARD_UID_TEXT: Final = 60
"""The longest card id as people write it: 20 digits with separators."""
NOT_0: Final = {"extra": {"schema_not": Schema(const=0)}}
"""For the documentation: msgspec can't check it, the use case refuses it."""
FROM_0: Final = {"extra": {"minimum": 0}}
"""Litestar omits a limit of 0 from the documentation."""
NORMALIZED: Final = "stored in composed form (NFC), without blanks around it"

Slug = Annotated[str, Meta(pattern=SLUG_PATTERN, description="small letters, digits and hyphens")]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN, description=NORMALIZED)]
Reason = Annotated[
    str, Meta(min_length=1, max_length=MAX_REASON_LENGTH, pattern=LINE_PATTERN, description="why, for the audit log")
]
HygieneNote = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_REASON_LENGTH,
        pattern=LINE_PATTERN,
        description="the agent and its strength, or how it was measured",
    ),
]
Comment = Annotated[str, Meta(max_length=MAX_COMMENT_LENGTH, pattern=LINES_PATTERN)]
RequiredComment = Annotated[str, Meta(min_length=1, max_length=MAX_COMMENT_LENGTH, pattern=LINES_PATTERN)]
Phone = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_PHONE_LENGTH,
        pattern=PHONE_PATTERN,
        description="digits, blanks and `( ) . / -`, with `+` at the start",
    ),
]
Url = Annotated[str, Meta(min_length=1, max_length=MAX_URL_LENGTH, pattern=NO_NUL, description="`https://…`, without a login")]
Text = Annotated[str, Meta(max_length=MAX_NAME_LENGTH, pattern=LINE_PATTERN, description=NORMALIZED)]
Verbatim = Annotated[str, Meta(max_length=MAX_NAME_LENGTH, pattern=NO_NUL)]
NORMALIZERS: Final[Mapping[Any, Callable[[str], str]]] = {
    Name: normalize_name,
    Text: normalize_name,
    Reason: normalize_name,
    HygieneNote: normalize_name,
    Comment: normalize_name,
    RequiredComment: normalize_name,
    Phone: normalize_phone,
}
"""The types that `bodies` normalizes before it checks them."""
CardUid = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=MAX_CARD_UID_TEXT,
        description="8, 14 or 20 hex digits, as read or written",
        extra_json_schema={"extra": {"pattern": CARD_UID_INPUT_PATTERN}},
    ),
]
CardUids = Annotated[
    list[CardUid],
    Meta(
        min_length=1,
        max_length=MAX_CARDS,
        description="at most 1,000 cards",
        examples=[["04a1b2c3"]],
        extra_json_schema={"extra": {"items": {"type": "string", "pattern": CARD_UID_INPUT_PATTERN}}},
    ),
]
"""Litestar's schema of a list leaves out the constraints of its items; `extra` says them again, as for `Slugs`."""
Slugs = Annotated[list[Slug], Meta(extra_json_schema={"extra": {"items": {"type": "string", "pattern": SLUG_PATTERN}}})]
Username = Annotated[str, Meta(pattern=USERNAME_PATTERN)]
Password = Annotated[str, Meta(min_length=MIN_PASSWORD_LENGTH, max_length=MAX_PASSWORD_LENGTH, pattern=NO_NUL)]
GivenPassword = Annotated[str, Meta(max_length=MAX_PASSWORD_LENGTH, pattern=NO_NUL)]
AmountMinor = Annotated[int, Meta(ge=1, le=MAX_AMOUNT_MINOR, description="minor units of the currency")]
CashMinor = Annotated[
    int, Meta(ge=0, le=MAX_AMOUNT_MINOR, description="cash, in minor units of the currency", extra_json_schema=FROM_0)
]
SignedAmountMinor = Annotated[
    int,
    Meta(
        ge=-MAX_AMOUNT_MINOR,
        le=MAX_AMOUNT_MINOR,
        description="minor units of the currency, up or down; not 0",
        extra_json_schema=NOT_0,
    ),
]
PriceMinor = Annotated[int, Meta(ge=1, le=MAX_PRICE_MINOR, description="minor units of the currency per litre")]
ClockTime = Annotated[
    str, Meta(pattern=CLOCK_PATTERN, description="a time of day by the venue's wall clock, `HH:MM`", examples=["17:00"])
]
Weekday = Literal[1, 2, 3, 4, 5, 6, 7]
PercentOff = Annotated[int, Meta(ge=1, le=99, description="per cent off the list price; the price is rounded half up")]
VolumeMl = Annotated[int, Meta(ge=1, le=MAX_VOLUME_ML, description="millilitres")]
PouredMl = Annotated[int, Meta(ge=0, le=MAX_VOLUME_ML, description="millilitres", extra_json_schema=FROM_0)]
SignedVolumeMl = Annotated[
    int,
    Meta(
        ge=-MAX_VOLUME_ML,
        le=MAX_VOLUME_ML,
        description="millilitres that left the keg; negative puts them back; not 0",
        extra_json_schema=NOT_0,
    ),
]
DevicePathText = Annotated[
    str,
    Meta(
        max_length=MAX_NAME_LENGTH,
        description="`{venue}/taps/{tap}` or `{venue}/readers/{reader}`",
        extra_json_schema={"extra": {"pattern": DEVICE_PATH_PATTERN}},
    ),
]
CleaningIntervalDays = Annotated[
    int, Meta(ge=1, le=MAX_CLEANING_INTERVAL_DAYS, description="days until a tap is cleaned again; null: none is due")
]
MeasuredMl = Annotated[int, Meta(ge=MIN_MEASURED_ML, description="millilitres, at most the installation's `max_report_ml`")]
PulsesPerLiter = Annotated[int, Meta(ge=1, le=MAX_PULSES_PER_LITER, description="the meter's pulses per litre")]
MaxPourMl = Annotated[int, Meta(ge=1, le=MAX_POUR_ML, description="millilitres, the most that one grant allows")]
GlassMl = Annotated[int, Meta(ge=1, le=MAX_GLASS_ML, description="millilitres of the glass whose price is shown")]
VisitHours = Annotated[int, Meta(ge=1, le=MAX_VISIT_HOURS, description="hours from a visit's opening to its end")]
MoreHours = Annotated[int, Meta(ge=1, le=MAX_MORE_HOURS, description="hours added to the later of the visit's end and now")]
DepositMinor = Annotated[int, Meta(ge=0, le=MAX_AMOUNT_MINOR, description="minor units of the currency", extra_json_schema=FROM_0)]
PaidMinor = Annotated[
    int, Meta(ge=0, le=MAX_AMOUNT_MINOR, description="for each keg, in minor units of the currency", extra_json_schema=FROM_0)
]
KegCount = Annotated[int, Meta(ge=1, le=MAX_KEGS, description="kegs that are all alike")]
Percent = Annotated[int, Meta(ge=0, le=100, description="per cent", extra_json_schema=FROM_0)]
KegLowMinutes = Annotated[
    int,
    Meta(ge=0, le=MAX_KEG_LOW_MINUTES, description="so long before a keg is empty at its pace it is low", extra_json_schema=FROM_0),
]
LegalAge = Annotated[int, Meta(ge=0, le=120, description="years", extra_json_schema=FROM_0)]
TaxRateBp = Annotated[
    int,
    Meta(ge=0, le=BASIS_POINTS, description="tax in the price, in basis points; null: not stated", extra_json_schema=FROM_0),
]
LimitMinor = Annotated[int, Meta(ge=0, le=MAX_AMOUNT_MINOR, description="minor units of the currency", extra_json_schema=FROM_0)]
PercentByVolume = Annotated[float, Meta(ge=0, le=100, description="per cent, at most two decimals", extra_json_schema=FROM_0)]
Patrons = Annotated[int, Meta(ge=1, le=MAX_PATRONS, description="people who drink on the visit; a serving limit is for each")]
