"""The bar of the demo, as data: what it sells, its taps, its guests and how they behave.

Who is at a simulated tap stays there, so that no two taps wait for one guest. The guests at the counter have open visits too, and
nobody plays them: their cards are for programs from outside, as the tap `open` is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tapwire_contracts.topics import DevicePath, tap_path
from tapwire_core.domain.serving_limits import VolumeLimit

VENUE_ID: Final = "bar"
VENUE_NAME: Final = "The Demo Bar"
TIME_ZONE: Final = "Europe/Berlin"
SERVING_LIMIT: Final = VolumeLimit(limit_ml=4_000)
"""Until staff look at the guest; high enough to be no obstacle for programs from outside."""
KEG_ML: Final = 30_000
KEG_LOW_ML: Final = 2_000
"""A keg with less than this is changed."""


@dataclass(frozen=True, slots=True)
class Beverage:
    """A beverage; the price is per litre, in minor units, the strength in per cent, the tax in basis points."""

    name: str
    style: str
    sell_price_per_liter_minor: int
    abv: str
    tax_rate_bp: int = 19_00


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A guest. Who has less than `low_minor` is topped up to `purse_minor`; with a purse of 0, never."""

    first_name: str
    phone: str
    """Finds the guest again at the next start."""
    card_uid: str
    purse_minor: int
    low_minor: int = 0


@dataclass(frozen=True, slots=True)
class Drinker:
    """A guest of a simulated tap: takes the card off after so many ml, or stays until the valve closes."""

    person: Person
    flow_ml_per_s: int
    leave_after_ml: int | None = None


@dataclass(frozen=True, slots=True)
class BarTap:
    """A tap; one without drinkers has no node."""

    tap_id: str
    name: str
    beverage: Beverage
    max_pour_ml: int
    drinkers: Sequence[Drinker] = ()

    @property
    def path(self) -> DevicePath:
        """Its path, which is also its username at the broker."""
        return tap_path(VENUE_ID, self.tap_id)


_PILS: Final = Beverage("Harbour Pils", "pilsner", 5_00, "4.9")
_STOUT: Final = Beverage("Night Stout", "stout", 6_40, "5.4")
_CIDER: Final = Beverage("Orchard Cider", "cider", 5_80, "4.5")

_ANN: Final = Person(first_name="Ann", phone="+49 30 555 0101", card_uid="04a1b2c3", purse_minor=20_00, low_minor=2_50)
_ZOE: Final = Person(first_name="Zoe", phone="+49 30 555 0102", card_uid="04d4e5f6", purse_minor=0)
_BEN: Final = Person(first_name="Ben", phone="+49 30 555 0103", card_uid="04b2c3d4e5f680", purse_minor=50_00, low_minor=2_56)
_CLEO: Final = Person(first_name="Cleo", phone="+49 30 555 0104", card_uid="04c3d4e5", purse_minor=4_00, low_minor=50)
_DORA: Final = Person(first_name="Dora", phone="+49 30 555 0105", card_uid="04e5f6a7", purse_minor=30_00, low_minor=2_90)

_IDA: Final = Person(first_name="Ida", phone="+49 30 555 0111", card_uid="0411aa01", purse_minor=40_00, low_minor=10_00)
_JAN: Final = Person(first_name="Jan", phone="+49 30 555 0112", card_uid="0411aa02", purse_minor=25_00, low_minor=10_00)
_OMAR: Final = Person(first_name="Omar", phone="+49 30 555 0113", card_uid="0411aa03", purse_minor=0)

TAPS: Final = (
    BarTap("left", "Left", _PILS, 500, (Drinker(_ZOE, 90), Drinker(_ANN, 90, leave_after_ml=250))),
    BarTap("middle", "Middle", _STOUT, 400, (Drinker(_BEN, 110),)),
    BarTap("right", "Right", _CIDER, 500, (Drinker(_CLEO, 100), Drinker(_DORA, 80, leave_after_ml=180))),
    BarTap("open", "Open", _PILS, 1_000),
)
HAPPY_BEVERAGE: Final = _CIDER
HAPPY_HOUR: Final = "Happy hour"
HAPPY_PERCENT_OFF: Final = 20
HAPPY_AFTER_MIN: Final = 1
"""Minutes from the demo's start to the beginning of its happy hour, at the latest: somebody looks on."""
HAPPY_FOR_MIN: Final = 60
AT_THE_TAPS: Final = tuple(drinker.person for tap in TAPS for drinker in tap.drinkers)
AT_THE_COUNTER: Final = (_IDA, _JAN, _OMAR)
"""Guests whom nobody plays: two with money, one with none."""
GUESTS: Final = (*AT_THE_TAPS, *AT_THE_COUNTER)
VISITOR: Final = Person(first_name="Eva", phone="+49 30 555 0121", card_uid="0411aa21", purse_minor=12_00)
"""A guest whom the staff check in and, some time later, out."""
VISITOR_COMES_AFTER_S: Final = 6.0
VISITOR_LEAVES_AFTER_S: Final = 24.0
"""From the demo's start."""
