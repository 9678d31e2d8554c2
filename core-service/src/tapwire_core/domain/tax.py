"""Tax of sales: prices are gross, and each rate's tax follows from the sum sold at it (SYSTEM.md, "Tax"). Pure."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

BASIS_POINTS: Final = 10_000
"""The whole, in hundredths of a per cent."""


class TaxRow(Struct, frozen=True):
    """The amount sold at one rate, in minor units.

    `tax_rate_bp`: in basis points; null where none is stated, then so are net and tax.
    """

    tax_rate_bp: int | None
    gross_minor: int
    net_minor: int | None
    tax_minor: int | None


def net_of(gross_minor: int, tax_rate_bp: int) -> int:
    """The net part of a gross amount, rounded to the nearest minor unit, halves away from zero."""
    whole = BASIS_POINTS + tax_rate_bp
    net_minor = (2 * abs(gross_minor) * BASIS_POINTS + whole) // (2 * whole)
    return net_minor if gross_minor >= 0 else -net_minor


def tax_rows(sold: Iterable[tuple[int | None, int]]) -> list[TaxRow]:
    """One row for each rate of these pairs of rate and gross amount, by rate, the amounts without a rate last."""
    sums = defaultdict[int | None, int](int)
    for tax_rate_bp, gross_minor in sold:
        sums[tax_rate_bp] += gross_minor
    return [_row(rate, sums[rate]) for rate in sorted(sums, key=lambda rate: (rate is None, rate))]


def _row(tax_rate_bp: int | None, gross_minor: int) -> TaxRow:
    if tax_rate_bp is None:
        return TaxRow(None, gross_minor, None, None)
    net_minor = net_of(gross_minor, tax_rate_bp)
    return TaxRow(tax_rate_bp, gross_minor, net_minor, gross_minor - net_minor)
