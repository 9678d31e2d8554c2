"""The bar's first data: venue, taps with full kegs, devices, guests with money and a card."""

import secrets
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.services import beverages, devices, guests, kegs, money, shifts, taps, venues, visits
from tapwire_demo.broker import Account
from tests.chaos import flooder
from tests.venue import OPERATOR

VENUE: Final = "bar"
PRICE_MINOR: Final = 500
"""5.00 a litre."""
KEG_ML: Final = 10_000_000
PULSES_PER_LITER: Final = 1_000
"""One pulse a millilitre, so that truth and books can agree to the last one."""
MAX_POUR_ML: Final = 500
FLOODER: Final = DevicePath.parse(flooder.FLOODER)
"""A tap without a keg whose node is not ours."""


@dataclass(slots=True)
class Drinker:
    """A guest, what was paid in over the counter, and what flowed while this guest was at a tap."""

    guest_id: UUID
    visit_id: UUID
    card_uid: str
    paid_minor: int
    flowed_ml: int = 0
    pours: int = 0


async def found(db: Database, paths: list[DevicePath]) -> list[Account]:
    """The venue, and who may connect to its broker."""
    await venues.create_venue(db, OPERATOR, venue_id=VENUE, name="The Bar", time_zone="Europe/Berlin")
    await shifts.open_shift(db, OPERATOR, VENUE)
    beverage_id = await beverages.create_beverage(db, OPERATOR, name="Pils", sell_price_per_liter_minor=PRICE_MINOR)
    services = {"core": BrokerRole.CORE, "watcher": BrokerRole.WATCHER}
    accounts = [Account(name, secrets.token_urlsafe(), role) for name, role in services.items()]
    for path in (*paths, FLOODER):
        await taps.create_tap(
            db,
            OPERATOR,
            venue_id=VENUE,
            tap_id=path.device_id,
            name=path.device_id,
            pulses_per_liter=PULSES_PER_LITER,
            max_pour_ml=MAX_POUR_ML,
        )
        secret = (await devices.add_device(db, OPERATOR, path)).secret
        accounts.append(Account(str(path), secret, BrokerRole.DEVICE))
        if path != FLOODER:
            keg_id = await kegs.create_keg(db, OPERATOR, venue_id=VENUE, beverage_id=beverage_id, initial_volume_ml=KEG_ML)
            await taps.put_keg(db, OPERATOR, path, keg_id)
    return accounts


async def invite(db: Database, card_uid: str, paid_minor: int) -> Drinker:
    """A guest with money, an open visit and a card."""
    guest_id = await guests.create_guest(db, OPERATOR, first_name=f"Guest {card_uid}", age_checked=True)
    await money.top_up(db, OPERATOR, guest_id, paid_minor, PaymentMethod.CASH, VENUE)
    visit = await visits.open_and_assign_card(db, OPERATOR, VENUE, guest_id, card_uid)
    return Drinker(guest_id, visit.visit_id, card_uid, paid_minor)
