"""Serving limits of a venue: how much one guest gets before a member of staff looks at them (SYSTEM.md, "Serving limits"). Pure.

A limit counts millilitres of what has alcohol, or milligrams of ethanol. Strength is in hundredths of a per cent by volume. The
database counts what a guest got by the same formula (the SQL function `serving_measure`); a test compares the two.
"""

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from tapwire_core.domain.closed_sets import ServingMeasure

ETHANOL_MG_PER_ML: Final = 789
ABV_HUNDREDTHS: Final = 10_000
"""Pure ethanol; a beverage without a known strength counts as this by ethanol."""
MAX_LIMIT: Final = 10_000_000
"""Limit of a serving limit, in millilitres or milligrams: more than anybody drinks."""
MAX_WINDOW_MINUTES: Final = 525_600
"""A year."""
MAX_PATRONS: Final = 20

LimitMl = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="millilitres for each patron")]
LimitMg = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="milligrams of ethanol for each patron")]
WindowMinutes = Annotated[
    int, Meta(ge=1, le=MAX_WINDOW_MINUTES, description="minutes that a pour counts; null: until the guest is re-armed")
]


class VolumeLimit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="measure", tag="volume"):
    """A limit in millilitres of beverages with alcohol, for each patron of a visit."""

    limit_ml: LimitMl
    window_minutes: WindowMinutes | None = None

    @property
    def measure(self) -> ServingMeasure:
        """What the limit counts."""
        return ServingMeasure.VOLUME

    @property
    def amount(self) -> int:
        """The limit of one patron, in the measure's unit."""
        return self.limit_ml


class EthanolLimit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="measure", tag="ethanol"):
    """A limit in milligrams of ethanol, for each patron of a visit."""

    limit_mg: LimitMg
    window_minutes: WindowMinutes | None = None

    @property
    def measure(self) -> ServingMeasure:
        """What the limit counts."""
        return ServingMeasure.ETHANOL

    @property
    def amount(self) -> int:
        """The limit of one patron, in the measure's unit."""
        return self.limit_mg


ServingLimit = VolumeLimit | EthanolLimit


class Served(Struct, frozen=True, kw_only=True):
    """A guest's counted measure at a venue, in the limit's unit. `of_pending`: the part of the asking tap's pending pour."""

    used: int
    of_pending: int = 0


class Allowance(Struct, frozen=True, kw_only=True):
    """What a visit may still have, in the limit's unit: milligrams for `ethanol`, else millilitres.

    `left` is never negative. `resets_at`: when the oldest counted pour leaves the window; null without a window or a counted pour.
    """

    measure: ServingMeasure
    limit: Annotated[int, Meta(examples=[946])]
    used: Annotated[int, Meta(examples=[500])]
    left: Annotated[int, Meta(examples=[446])]
    resets_at: datetime | None = None


def ethanol_mg(volume_ml: int, abv_hundredths: int) -> int:
    """The ethanol in a volume, in milligrams, rounded half up."""
    return (volume_ml * abv_hundredths * ETHANOL_MG_PER_ML + ABV_HUNDREDTHS // 2) // ABV_HUNDREDTHS


def counted(measure: ServingMeasure, volume_ml: int, abv_hundredths: int | None) -> int:
    """What a volume counts against a limit; the database's `serving_measure` says the same."""
    if abv_hundredths == 0:
        return 0
    if measure is ServingMeasure.VOLUME:
        return volume_ml
    return ethanol_mg(volume_ml, ABV_HUNDREDTHS if abv_hundredths is None else abv_hundredths)


def largest_ml(left_mg: int, abv_hundredths: int) -> int:
    """The largest volume in millilitres whose ethanol is not above `left_mg`; of a strength above 0."""
    return max(((left_mg + 1) * ABV_HUNDREDTHS - ABV_HUNDREDTHS // 2 - 1) // (abv_hundredths * ETHANOL_MG_PER_ML), 0)


def left_ml(limit: ServingLimit, patrons: int, used: int, abv_hundredths: int | None) -> int | None:
    """The most of a beverage that the limit leaves, in millilitres; None for one without alcohol, which no limit refuses."""
    if abv_hundredths == 0:
        return None
    left = limit.amount * patrons - used
    match limit:
        case VolumeLimit():
            return max(left, 0)
        case EthanolLimit():
            return largest_ml(left, ABV_HUNDREDTHS if abv_hundredths is None else abv_hundredths)


def allowance(limit: ServingLimit, patrons: int, used: int, resets_at: datetime | None = None) -> Allowance:
    """A visit's allowance, after `used` was counted."""
    total = limit.amount * patrons
    return Allowance(measure=limit.measure, limit=total, used=used, left=max(total - used, 0), resets_at=resets_at)
