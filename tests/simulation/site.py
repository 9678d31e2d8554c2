"""The venue of a simulation: its taps with their kegs, spare kegs, and guests; all ids are known before anything happens."""

from dataclasses import dataclass
from random import Random
from typing import Final
from uuid import UUID, uuid5

from tapwire_core.db.engine import Database
from tapwire_core.domain.policy import Policy
from tapwire_core.services import beverages, guests, kegs, shifts, taps, venues
from tapwire_core.services.outbox import all_configs
from tests.simulation.books.ledger import Ledger
from tests.simulation.books.postgres import ENGINEER, PostgresBooks
from tests.simulation.books.rows import GuestRow, KegRow, Tables, TapRow

VENUE: Final = "bar"
PRICE_MINOR: Final = 9_00
"""9.00 a litre."""
KEG_ML: Final = 6_000
MAX_POUR_ML: Final = 400
FRESH_KEGS: Final = 4
PULSES_PER_LITER: Final = 1_000
"""One pulse is one millilitre, so that what flows is what counts; converting pulses is not this simulation's subject."""
HOUSE: Final = Policy(start_window_ms=4_000, max_duration_ms=20_000, idle_timeout_ms=4_000, sync_timeout_ms=50_000)


@dataclass(frozen=True, slots=True)
class TapSite:
    """A tap as it is installed."""

    path: str
    keg_id: UUID
    revision: int


@dataclass(frozen=True, slots=True)
class Site:
    """The venue before the first guest. Guests have names and no money yet.

    Spare kegs come and go; a fresh one replaces a keg that never comes back.
    """

    beverage_id: UUID
    shift_id: UUID
    taps: tuple[TapSite, ...]
    spare_kegs: tuple[UUID, ...]
    fresh_kegs: tuple[UUID, ...]
    guests: tuple[tuple[UUID, str], ...]


@dataclass(frozen=True, slots=True)
class Size:
    """Sizes of the simulated venue."""

    taps: int
    spare_kegs: int
    guests: int

    @classmethod
    def draw(cls, random: Random) -> "Size":
        """A small venue."""
        return cls(random.randint(1, 3), random.randint(0, 2), random.randint(1, 4))

    @property
    def paths(self) -> list[str]:
        """The taps' paths."""
        return [f"{VENUE}/taps/tap{number}" for number in range(self.taps)]

    @property
    def names(self) -> list[str]:
        """The guests' names."""
        return [f"Guest {number}" for number in range(self.guests)]


def imagine(size: Size, random: Random) -> Site:
    """A site that is nowhere but in a ledger."""

    def new_id() -> UUID:
        return UUID(int=random.getrandbits(128), version=4)

    beverage_id = new_id()
    return Site(
        beverage_id=beverage_id,
        shift_id=new_id(),
        taps=tuple(TapSite(path, new_id(), 1) for path in size.paths),
        spare_kegs=tuple(new_id() for _ in range(size.spare_kegs)),
        fresh_kegs=tuple(uuid5(beverage_id, f"fresh keg {number}") for number in range(FRESH_KEGS)),
        guests=tuple((new_id(), name) for name in size.names),
    )


async def install(size: Size, db: Database) -> Site:
    """The same site in a database."""
    await venues.create_venue(db, ENGINEER, venue_id=VENUE, name="The Bar", time_zone="Europe/Berlin")
    beverage_id = await beverages.create_beverage(db, ENGINEER, name="Pils", sell_price_per_liter_minor=PRICE_MINOR)

    async def new_keg() -> UUID:
        return await kegs.create_keg(db, ENGINEER, venue_id=VENUE, beverage_id=beverage_id, initial_volume_ml=KEG_ML)

    on_tap = {}
    for path in size.paths:
        tap_id = path.rsplit("/", 1)[-1]
        await taps.create_tap(
            db, ENGINEER, venue_id=VENUE, tap_id=tap_id, name=tap_id, pulses_per_liter=PULSES_PER_LITER, max_pour_ml=MAX_POUR_ML
        )
        on_tap[path] = await new_keg()
        await taps.put_keg(db, ENGINEER, path, on_tap[path])
    revisions = {path: config.revision for path, config in (await all_configs(db)).items()}
    return Site(
        beverage_id=beverage_id,
        shift_id=await shifts.open_shift(db, ENGINEER, VENUE),
        taps=tuple(TapSite(path, keg_id, revisions[path]) for path, keg_id in on_tap.items()),
        spare_kegs=tuple([await new_keg() for _ in range(size.spare_kegs)]),
        fresh_kegs=tuple([await new_keg() for _ in range(FRESH_KEGS)]),
        guests=tuple([(await guests.create_guest(db, ENGINEER, first_name=name, age_checked=True), name) for name in size.names]),
    )


def all_kegs(site: Site) -> tuple[UUID, ...]:
    """Every keg of a site."""
    return (*(tap.keg_id for tap in site.taps), *site.spare_kegs, *site.fresh_kegs)


def open_ledger(site: Site, random: Random, *, deduplicates: bool = True, one_lease: bool = True) -> Ledger:
    """A ledger that begins where the site does."""
    tables = Tables(VENUE, site.beverage_id, PRICE_MINOR, site.shift_id)
    for tap in site.taps:
        tables.taps[tap.path] = TapRow(tap.path, tap.keg_id, MAX_POUR_ML, PULSES_PER_LITER, revision=tap.revision)
    tables.kegs = {keg_id: KegRow(KEG_ML, KEG_ML) for keg_id in all_kegs(site)}
    tables.guests = {guest_id: GuestRow(guest_id, name) for guest_id, name in site.guests}

    def new_id() -> UUID:
        return UUID(int=random.getrandbits(128), version=4)

    return Ledger(tables, HOUSE, new_id, deduplicates, one_lease)


async def open_postgres(site: Site, db: Database) -> PostgresBooks:
    """Books in the database that the site was installed in; what its installation has left to publish is published."""
    books = PostgresBooks(db, VENUE, site.beverage_id)
    await books.take_commands()
    return books
