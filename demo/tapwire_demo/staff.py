"""The demo's staff, so that it can run for days: they change kegs, top up guests without money, and see a visitor in and out."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from tapwire_core.db.engine import Database
from tapwire_core.db.views.beverages import list_beverages
from tapwire_core.db.views.guests import GuestView, list_guests
from tapwire_core.db.views.kegs import suggest_keg
from tapwire_core.db.views.price_rules import list_price_rules, read_wall_clock
from tapwire_core.db.views.queries import MAX_LIMIT, PageRequest
from tapwire_core.db.views.taps import get_tap
from tapwire_core.db.views.visits import get_active_visit_by_card
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.check_outs import CheckOutWish
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.services import beverages, check_outs, guests, kegs, money, taps, visits
from tapwire_core.services.price_rules import PriceRuleFields, PriceRuleOverlap, change_price_rule, create_price_rule
from tapwire_demo.bar import (
    HAPPY_AFTER_MIN,
    HAPPY_BEVERAGE,
    HAPPY_FOR_MIN,
    HAPPY_HOUR,
    HAPPY_PERCENT_OFF,
    KEG_LOW_ML,
    KEG_ML,
    VENUE_ID,
    BarTap,
    Beverage,
    Person,
)
from tapwire_demo.money_format import amount

STAFF: Final = Actor("demo")


async def change_low_kegs(db: Database, of_taps: Iterable[BarTap]) -> list[str]:
    """Change each keg with hardly anything left; what was done. A tap that somebody left without a keg stays so."""
    done = []
    for tap in of_taps:
        now = await get_tap(db, str(tap.path))
        if now is None or now.keg_id is None or now.keg_book_volume_ml is None or now.keg_book_volume_ml >= KEG_LOW_ML:
            continue
        await put_full_keg(db, tap, now.beverage_id)
        await kegs.retire_keg(db, STAFF, now.keg_id)
        done.append(f"tap {tap.tap_id} gets a new keg")
    return done


async def put_full_keg(db: Database, tap: BarTap, beverage_id: UUID | None) -> None:
    """Put a keg on the tap, out of stock if there is one; of what the tap sells unless it is said which."""
    wanted = beverage_id or await _beverage_id(db, tap.beverage)
    keg = await suggest_keg(db, beverage_id=wanted, venue_id=VENUE_ID)
    if keg is None or keg.book_volume_ml < KEG_LOW_ML:
        keg_id = await kegs.create_keg(db, STAFF, venue_id=VENUE_ID, beverage_id=wanted, initial_volume_ml=KEG_ML)
    else:
        keg_id = keg.keg_id
    await taps.put_keg(db, STAFF, tap.path, keg_id)


async def fill_purses(db: Database, people: Iterable[Person]) -> list[str]:
    """Top up who has hardly any money left; what was done."""
    done = []
    for person in people:
        guest = await find_guest(db, person)
        if guest is None or guest.balance_minor >= person.low_minor:
            continue
        paid_minor = person.purse_minor - guest.balance_minor
        await money.top_up(db, STAFF, guest.guest_id, paid_minor, PaymentMethod.CASH, VENUE_ID)
        done.append(f"{person.first_name} tops up {amount(paid_minor)}")
    return done


async def rearm(db: Database, card_uids: Iterable[str]) -> list[str]:
    """Look at guests who were refused at the serving limit, and let them go on; what was done."""
    done = []
    for card_uid in card_uids:
        visit = await get_active_visit_by_card(db, card_uid)
        if visit is None or visit.allowance is None or visit.allowance.left:
            continue
        await visits.rearm(db, STAFF, visit.visit_id, "looked at the guest, all is well")
        done.append(f"staff look at {visit.guest_name}, and re-arm the visit")
    return done


async def check_in(db: Database, person: Person) -> list[str]:
    """Let a visitor pay, and give them a card; what was done. Nothing for one who is there already."""
    guest = await find_guest(db, person)
    if guest is not None and guest.active_visit_id is not None:
        return []
    if guest is None:
        guest_id = await guests.create_guest(db, STAFF, first_name=person.first_name, phone=person.phone, age_checked=True)
    else:
        guest_id = guest.guest_id
    await money.top_up(db, STAFF, guest_id, person.purse_minor, PaymentMethod.CASH, VENUE_ID)
    await visits.open_and_assign_card(db, STAFF, VENUE_ID, guest_id, person.card_uid)
    return [f"{person.first_name} checks in with {amount(person.purse_minor)}"]


async def check_out(db: Database, person: Person) -> list[str]:
    """Pay a visitor what is theirs, and take the card back; what was done. Nothing for one who has left."""
    guest = await find_guest(db, person)
    if guest is None or guest.active_visit_id is None:
        return []
    wish = CheckOutWish(payout=PaymentMethod.CASH, card_returned=True)
    await check_outs.check_out(db, STAFF, guest.active_visit_id, wish)
    return [f"{person.first_name} checks out: {amount(guest.refundable_minor)} are paid out, and the card is free"]


async def find_guest(db: Database, person: Person) -> GuestView | None:
    """The guest that an earlier start made of the person."""
    found = await list_guests(db, phone=person.phone)
    return found.items[0] if found.items else None


async def _beverage_id(db: Database, beverage: Beverage) -> UUID:
    known = await list_beverages(db, page=PageRequest(limit=MAX_LIMIT))
    for view in known.items:
        if view.name == beverage.name:
            return view.beverage_id
    return await beverages.create_beverage(
        db,
        STAFF,
        name=beverage.name,
        style=beverage.style,
        abv=Decimal(beverage.abv),
        tax_rate_bp=beverage.tax_rate_bp,
        sell_price_per_liter_minor=beverage.sell_price_per_liter_minor,
    )


async def plan_happy_hour(db: Database) -> None:
    """Let a happy hour begin in some minutes, in place of the one of an earlier start; whoever planned another one keeps that."""
    now = await read_wall_clock(db, VENUE_ID)
    assert now is not None
    begin = now + timedelta(minutes=HAPPY_AFTER_MIN)
    times = PriceRuleFields(
        weekdays=list(range(1, 8)),
        from_time=begin.time().replace(second=0, microsecond=0),
        to_time=(begin + timedelta(minutes=HAPPY_FOR_MIN)).time().replace(second=0, microsecond=0),
        valid_from=begin.date(),
        valid_to=begin.date(),
    )
    rules = await list_price_rules(db, VENUE_ID, PageRequest(limit=MAX_LIMIT))
    earlier = next((rule for rule in rules.items if rule.name == HAPPY_HOUR), None)
    try:
        if earlier is not None:
            await change_price_rule(db, STAFF, earlier.price_rule_id, **times)
        else:
            whole: PriceRuleFields = {
                **times,
                "name": HAPPY_HOUR,
                "beverage_ids": [await _beverage_id(db, HAPPY_BEVERAGE)],
                "percent_off": HAPPY_PERCENT_OFF,
            }
            await create_price_rule(db, STAFF, VENUE_ID, **whole)
    except PriceRuleOverlap:
        return
