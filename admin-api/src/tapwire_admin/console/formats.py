"""Formats of money, volumes and times for people of one language; elsewhere they stay integers."""

import copy
import functools
import re
from datetime import date, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.core import Locale as BabelLocale
from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import (
    format_currency,
    format_decimal,
    get_currency_symbol,
    get_decimal_symbol,
)

from tapwire_contracts.currencies import CURRENCY_DIGITS, decimal_amount
from tapwire_contracts.reasons import Locale
from tapwire_core.db.views.price_rules import PriceRuleView
from tapwire_core.domain.closed_sets import ServingMeasure, VolumeUnit
from tapwire_core.domain.money import charge
from tapwire_core.errors import Invalid

PRESET_STEPS: Final = (1, 2, 5)
DENOMINATIONS: Final = {
    "RUB": (5000_00, 2000_00, 1000_00, 500_00, 200_00, 100_00, 50_00, 10_00, 5_00, 2_00, 1_00, 50, 10),
    "USD": (100_00, 50_00, 20_00, 10_00, 5_00, 2_00, 1_00, 50, 25, 10, 5, 1),
}
"""Notes and coins of currencies that do not go by 1, 2 and 5."""
LEAST_PRESET_MINOR: Final = 10_00
"""A tenner of a currency with cents, and a thousand of one without."""
UNUSUAL_PRESETS: Final = 10
"""An amount is unusual above so many times the largest preset: above 500.00 of a currency with cents."""
ML_PER_LITER: Final = 1000
MG_PER_G: Final = 1000
GRAM_DIGITS: Final = 3
PERCENT_DIGITS: Final = 2
"""Maximum decimals of typed grams: milligrams."""
LITERS_FROM_ML: Final = 1000
"""Volumes from here on are shown in litres."""
LITER_DIGITS: Final = 2
"""Maximum decimals of typed litres: with three, `1,000` could be a thousand."""
BABEL_LOCALES: Final = {Locale.EN: "en_GB", Locale.RU: "ru"}
"""British English: 24 hours, day before month."""
UTC: Final = ZoneInfo("UTC")
ML_PER_OUNCE: Final = Decimal("29.5735")
"""The US fluid ounce."""
_UNITS: Final = {
    "en_GB": {VolumeUnit.ML: ("ml", "l"), VolumeUnit.OZ: ("oz", "oz")},
    "ru": {VolumeUnit.ML: ("мл", "л"), VolumeUnit.OZ: ("унц.", "унц.")},
}
"""By language and unit: that of small volumes, and the one that prices are for."""
ESTIMATE_STEP_S: Final = 5 * 60
"""An estimate is not more exact than this."""
_CLOCK_IS_ENOUGH: Final = timedelta(hours=20)
_WEEKDAY_IS_ENOUGH: Final = timedelta(days=6)
_NUMBER: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?")


class Formats:
    """Formats of one language, currency, time zone and unit of volume. Every shown volume and price is formatted here."""

    def __init__(self, locale: Locale, currency: str, zone: tzinfo = UTC, unit: VolumeUnit = VolumeUnit.ML) -> None:
        self.locale: Final = BABEL_LOCALES[locale]
        self.currency: Final = currency
        self.zone: Final = zone
        self.unit: Final = unit
        self._digits: Final = CURRENCY_DIGITS[currency]
        # Babel's own digits are CLDR's
        self._pattern: Final = copy.copy(BabelLocale.parse(self.locale).currency_formats["standard"])
        self._pattern.frac_prec = (self._digits, self._digits)

    def money(self, minor: int | None) -> str:
        """An amount in minor units, such as `12.50 €`."""
        if minor is None:
            return "–"
        major = Decimal(minor).scaleb(-self._digits)
        return str(format_currency(major, self.currency, self._pattern, locale=self.locale, currency_digits=False))

    def signed_money(self, minor: int) -> str:
        """A difference, with its sign: `+1.50 €`."""
        return f"+{self.money(minor)}" if minor > 0 else self.money(minor).replace("-", "\N{MINUS SIGN}")

    @property
    def denominations_minor(self) -> tuple[int, ...]:
        """The currency's notes and coins, the largest first; where they are not known, 1, 2 and 5 of each power of ten."""
        known = DENOMINATIONS.get(self.currency)
        return known or tuple(step * 10**power for power in range(self._digits + 2, -1, -1) for step in reversed(PRESET_STEPS))

    @property
    def digits(self) -> int:
        """Decimals of an amount."""
        return self._digits

    def plain_money(self, minor: int) -> str:
        """An amount as a person types it: without the currency's sign."""
        return decimal_amount(minor, self.currency)

    def typed_money(self, minor: int) -> str:
        """An amount in the language's notation, without thousands separators and the currency's sign."""
        return decimal_amount(minor, self.currency, self.decimal_mark)

    @property
    def decimal_mark(self) -> str:
        """The language's decimal mark."""
        return str(get_decimal_symbol(self.locale))

    @property
    def sign(self) -> str:
        """The currency's sign."""
        return str(get_currency_symbol(self.currency, locale=self.locale))

    @property
    def presets_minor(self) -> tuple[int, ...]:
        """Usual amounts of a top-up: some tenners of a currency with cents, some thousands of one without."""
        first_minor = max(10 * 10**self._digits, LEAST_PRESET_MINOR)
        return tuple(step * first_minor for step in PRESET_STEPS)

    @property
    def unusual_minor(self) -> int:
        """Amounts above this are asked for once more before they are booked."""
        return UNUSUAL_PRESETS * self.presets_minor[-1]

    def volume(self, ml: int | None) -> str:
        """A volume: `312 ml`, in litres from one litre on; or in US fluid ounces: `10.6 oz`."""
        if ml is None:
            return "–"
        if self.unit is VolumeUnit.OZ or abs(ml) < LITERS_FROM_ML:
            return f"{self.measure(ml)}\N{NO-BREAK SPACE}{self.measure_unit}"
        return f"{self._tenths(self.scale(ml))}\N{NO-BREAK SPACE}{self.price_unit}"

    def measure(self, ml: int) -> str:
        """A volume without its unit, `measure_unit`: millilitres, or ounces to a tenth."""
        return self.number(ml) if self.unit is VolumeUnit.ML else self._tenths(self.scale(ml))

    @property
    def measure_unit(self) -> str:
        """The short unit of `measure`."""
        return _UNITS[self.locale][self.unit][0]

    @property
    def price_unit(self) -> str:
        """The short unit that prices are for: a litre or an ounce."""
        return _UNITS[self.locale][self.unit][1]

    def scale(self, ml: int) -> Decimal:
        """A volume in the unit that prices are for."""
        return Decimal(ml) / (ML_PER_LITER if self.unit is VolumeUnit.ML else ML_PER_OUNCE)

    def unit_price(self, per_liter_minor: int | None) -> str:
        """The price of a litre, or of an ounce, without the unit."""
        if per_liter_minor is None or self.unit is VolumeUnit.ML:
            return self.money(per_liter_minor)
        exact = per_liter_minor * ML_PER_OUNCE / ML_PER_LITER
        return self.money(int(exact.quantize(Decimal(1), ROUND_HALF_UP)))

    def price(self, per_liter_minor: int | None) -> str:
        """A price with its unit: `6.50 €/l`, or `0.19 €/oz`."""
        return f"{self.unit_price(per_liter_minor)}/{self.price_unit}"

    def price_of_rule(self, rule: PriceRuleView) -> str:
        """What a price rule makes of a price: a price, or `−20 %`."""
        if rule.percent_off is not None:
            return f"\N{MINUS SIGN}{rule.percent_off}\N{NO-BREAK SPACE}%"
        return self.price(rule.sell_price_per_liter_minor)

    def glass(self, glass_ml: int, per_liter_minor: int | None) -> str:
        """The price of a glass: `500 ml: 3.25 €`."""
        return f"{self.volume(glass_ml)}: {self.money(charge(glass_ml, per_liter_minor))}" if per_liter_minor else ""

    def share(self, share: float | None) -> str:
        """A share in per cent, with one decimal: `97.2 %`."""
        return "–" if share is None else f"{self._tenths(Decimal(str(share)))}\N{NO-BREAK SPACE}%"

    def change(self, percent: float | None) -> str:
        """A change in per cent, with its sign: `+12.5 %`."""
        if percent is None:
            return "–"
        sign = "+" if percent > 0 else "\N{MINUS SIGN}" if percent < 0 else ""
        return sign + self.share(abs(percent))

    def _tenths(self, amount: Decimal) -> str:
        return str(format_decimal(amount, "#,##0.0", locale=self.locale))

    def serving(self, measure: ServingMeasure, amount: int) -> str:
        """An amount of a serving limit: a volume, or grams of alcohol from milligrams."""
        if measure is ServingMeasure.VOLUME:
            return self.volume(amount)
        gram = "г" if self.locale == "ru" else "g"
        return f"{format_decimal(Decimal(amount) / MG_PER_G, '#,##0.0', locale=self.locale)}\N{NO-BREAK SPACE}{gram}"

    def plain_grams(self, mg: int) -> str:
        """Milligrams as a person types them: grams without a sign."""
        return f"{Decimal(mg) / MG_PER_G:f}"

    def plain_percent(self, basis_points: int) -> str:
        """Basis points as a person types them: per cent without a sign."""
        return f"{Decimal(basis_points).scaleb(-PERCENT_DIGITS).normalize():f}"

    def percent(self, basis_points: int) -> str:
        """Basis points in per cent, such as `7.7 %`."""
        exact = Decimal(basis_points).scaleb(-PERCENT_DIGITS)
        return f"{format_decimal(exact, '#,##0.##', locale=self.locale)}\N{NO-BREAK SPACE}%"

    def shown_value(self, field: str, value: object) -> str:
        """A value that was changed meanwhile, by the name of its field."""
        if isinstance(value, bool):
            return "✓" if value else "–"
        if isinstance(value, dict) and "measure" in value:
            measure = ServingMeasure(value["measure"])
            return self.serving(measure, value["limit_ml" if measure is ServingMeasure.VOLUME else "limit_mg"])
        if isinstance(value, int):
            return self.money(value) if field.endswith("_minor") else self.number(value)
        if isinstance(value, list):
            return ", ".join(map(str, value))
        return "–" if value is None else str(value)

    def tax_rate(self, basis_points: int | None) -> str:
        """A rate of tax in per cent, such as `19 %` and `7.7 %`; a dash where none is stated."""
        return "–" if basis_points is None else self.percent(basis_points)

    def number(self, value: int) -> str:
        """A number with thousands separators."""
        return str(format_decimal(value, locale=self.locale))

    def moment(self, at: datetime) -> str:
        """A day and a time, to the minute."""
        return str(format_datetime(at, "d MMM, HH:mm", tzinfo=self.zone, locale=self.locale))

    def long_moment(self, at: datetime) -> str:
        """A day with its year and a time, for print."""
        return str(format_datetime(at, "d MMMM y, HH:mm", tzinfo=self.zone, locale=self.locale))

    def until(self, at: datetime, now: datetime | None = None) -> str:
        """The end of something that lasts for hours or days: the time, with its day when that is not clear."""
        away = at - (now or datetime.now(UTC))
        pattern = "HH:mm" if away < _CLOCK_IS_ENOUGH else "EEE HH:mm" if away < _WEEKDAY_IS_ENOUGH else "d MMM HH:mm"
        return str(format_datetime(at, pattern, tzinfo=self.zone, locale=self.locale))

    def about(self, at: datetime) -> str:
        """An estimated time, to the nearest five minutes; with its day when that is not clear."""
        return self.until(datetime.fromtimestamp(round(at.timestamp() / ESTIMATE_STEP_S) * ESTIMATE_STEP_S, UTC))

    def clock(self, at: datetime) -> str:
        """A time of the day, to the second."""
        return str(format_time(at, "HH:mm:ss", tzinfo=self.zone, locale=self.locale))

    def day(self, at: datetime) -> str:
        """A day of the venue."""
        return str(format_date(at.astimezone(self.zone), "EEEE, d MMMM", locale=self.locale))

    def short_day(self, day: date) -> str:
        """A day of the calendar, short: `Thu 26 Nov`."""
        return str(format_date(day, "EEE d MMM", locale=self.locale))

    def weekday(self, day: date) -> str:
        """A day's weekday, short: `Thu`."""
        return str(format_date(day, "EEE", locale=self.locale))

    def day_month(self, day: date) -> str:
        """A day's numbers: `26/11`, or `26.11`."""
        return str(format_date(day, "dd.MM" if self.locale == "ru" else "dd/MM", locale=self.locale))

    def age(self, ms: int | None) -> str:
        """An age in one unit: `4 min`."""
        if ms is None:
            return "–"
        return str(format_timedelta(max(ms, 0) // 1000, granularity="second", threshold=1.5, format="short", locale=self.locale))

    def read_money(self, text: str, field: str) -> int:
        """Minor units of what a person typed, such as `12,50`; raises `Invalid`."""
        return _read_decimal(text, field, self._digits)


def read_liters(text: str, field: str) -> int:
    """Millilitres of the litres that a person typed, such as `19,5`; raises `Invalid`."""
    return _read_decimal(text, field, LITER_DIGITS) * (ML_PER_LITER // 10**LITER_DIGITS)


def read_grams(text: str, field: str) -> int:
    """Milligrams of the grams that a person typed, such as `19,7`; raises `Invalid`."""
    return _read_decimal(text, field, GRAM_DIGITS)


def read_percent(text: str, field: str) -> int:
    """Basis points of the per cent that a person typed, such as `7,7`; raises `Invalid`."""
    return _read_decimal(text, field, PERCENT_DIGITS)


def _read_decimal(text: str, field: str, digits: int) -> int:
    """Read a decimal with comma or point, in units of its last digit, in any language of the page.

    Neither is a thousands separator: used as one, too many decimals follow, and the number is refused.
    """
    cleaned = "".join(text.split()).replace(",", ".").replace("\N{MINUS SIGN}", "-")
    if not _NUMBER.fullmatch(cleaned):
        raise Invalid(f"{field}: {text[:40]!r} is not a number.", field=field, problem="not_a_number" if text else "missing")
    whole, _, part = cleaned.partition(".")
    if len(part) > digits:
        many = f"{field}: {text[:40]!r} has more than {digits} decimals. Write thousands without a separator."
        raise Invalid(many, field=field, problem="decimals", limit=digits)
    return int(whole + part.ljust(digits, "0"))


@functools.cache
def zone_of(name: str) -> tzinfo:
    """A venue's time zone; UTC for one that only the database knows."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
