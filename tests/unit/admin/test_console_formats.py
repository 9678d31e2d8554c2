"""Money, volumes and times as people write and read them; never a float on the way."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapwire_admin.console.formats import Formats, zone_of
from tapwire_contracts.currencies import CURRENCY_DIGITS, decimal_amount
from tapwire_contracts.reasons import Locale
from tapwire_core.domain.closed_sets import VolumeUnit
from tapwire_core.errors import Invalid

AMOUNTS = st.integers(min_value=-(10**9), max_value=10**9)


@given(AMOUNTS, st.sampled_from(list(Locale)), st.sampled_from(sorted(CURRENCY_DIGITS)))
def test_an_amount_that_is_shown_in_a_field_is_read_as_the_same_amount(minor: int, locale: Locale, currency: str) -> None:
    formats = Formats(locale, currency)
    assert formats.read_money(formats.plain_money(minor), "amount") == minor


def test_the_console_shows_as_many_decimals_as_home_assistant_and_exports() -> None:
    for currency, digits in CURRENCY_DIGITS.items():
        shown = Formats(Locale.RU, currency).money(123_456)
        assert (
            len(re.sub("[^0-9,]", "", shown).partition(",")[2])
            == digits
            == len(decimal_amount(123_456, currency).partition(".")[2])
        )
    assert [CURRENCY_DIGITS[code] for code in ["RSD", "ALL", "LBP", "IQD", "SOS", "SYP", "JPY"]] == [2, 2, 2, 3, 2, 2, 0]


@pytest.mark.parametrize(("typed", "minor"), [("12.50", 1250), ("12,5", 1250), (" 1 200 ", 120000), ("−3", -300), ("0.01", 1)])
def test_an_amount_is_read_as_people_type_it(typed: str, minor: int) -> None:
    assert Formats(Locale.RU, "EUR").read_money(typed, "amount") == minor


@pytest.mark.parametrize("typed", ["", "abc", "1.234", "1,000", "1.500", "1e9", "NaN", "Infinity", "1.2.3", "1_000", "9" * 40])
def test_what_is_no_amount_is_refused(typed: str) -> None:
    with pytest.raises(Invalid):
        Formats(Locale.EN, "EUR").read_money(typed, "amount")


def test_volumes_are_litres_from_one_litre_on() -> None:
    formats = Formats(Locale.RU, "EUR")
    assert formats.volume(999) == "999\N{NO-BREAK SPACE}мл"
    assert formats.volume(29_450) == "29,4\N{NO-BREAK SPACE}л"


@pytest.mark.parametrize(
    ("unit", "ml", "volume"),
    [("ml", 312, "312 ml"), ("ml", 19_500, "19.5 l"), ("oz", 500, "16.9 oz"), ("oz", 50_000, "1,690.7 oz"), ("oz", -30, "-1.0 oz")],
)
def test_a_volume_is_shown_in_the_venues_unit(unit: str, ml: int, volume: str) -> None:
    assert Formats(Locale.EN, "USD", UTC, VolumeUnit(unit)).volume(ml).replace("\N{NO-BREAK SPACE}", " ") == volume


@pytest.mark.parametrize(("unit", "price", "glass"), [("ml", "7.00 €/l", "500 ml: 3.50 €"), ("oz", "0.21 €/oz", "16.9 oz: 3.50 €")])
def test_a_price_is_shown_for_the_venues_unit_and_for_a_glass(unit: str, price: str, glass: str) -> None:
    formats = Formats(Locale.EN, "EUR", UTC, VolumeUnit(unit))
    shown = (formats.price(700), formats.glass(500, 700))

    assert tuple(re.sub("€(\\d[^/]*)", "\\1 €", text).replace("\N{NO-BREAK SPACE}", " ") for text in shown) == (price, glass)


def test_an_end_has_its_day_where_the_time_alone_could_mean_another_one() -> None:
    formats, now = Formats(Locale.EN, "EUR", zone_of("Europe/Berlin")), datetime(2026, 11, 29, 12, tzinfo=UTC)
    ends = [formats.until(now + timedelta(hours=hours), now) for hours in (6, 14, 30, 24 * 30)]

    assert ends == ["19:00", "03:00", "Mon 19:00", "29 Dec 13:00"]


def test_an_estimated_time_is_no_more_exact_than_five_minutes() -> None:
    formats, soon = Formats(Locale.EN, "EUR"), datetime.now(UTC) + timedelta(hours=1)
    times = [soon.replace(minute=minute, second=second, microsecond=0) for minute, second in ((37, 31), (40, 0), (42, 29), (37, 0))]

    assert [formats.about(at)[-2:] for at in times] == ["40", "40", "40", "35"]
