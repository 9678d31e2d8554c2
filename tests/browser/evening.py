"""A late evening at the demo's bar, through the API and the tap `open`: what pictures should show and a fresh demo does not have.

Guests with and without trouble, kegs in every state, taps out of service, a pour that waits for a person, several incidents.
Doing it again adds a little more of the same; `make demo-reset` ends it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from httpx import HTTPStatusError

from tapwire_demo.demo_file import DemoFile
from tests.browser.api import Api
from tests.running_demo import OutsideTap

BEVERAGES: Final = (
    ("Amber Lantern", 560, "red ale", 5.4),
    ("Weissbier Old Mill Unfiltered", 540, "wheat beer", 5.1),
    ("Ruby Field", 720, "red wine", 12.5),
    ("Hazy Pier IPA", 690, "ipa", 6.8),
)
GUESTS: Final = (
    ("Marguerite", "Vandenbroucke-Lindqvist", "+32 470 12 34 56", 30_00),
    ("Aleksandr", "Konstantinopolsky", "+7 921 555 01 77", 18_50),
    ("Liu", "Wei", "+86 138 0013 8000", 120_00),
    ("Sofía", "Ibáñez", "+34 612 55 01 09", 7_35),
    ("Tom", "Ó Briain", "+353 87 555 0199", 45_00),
    ("Екатерина", "Преображенская", "+7 903 555 02 11", 26_00),
)
POURS_ML: Final = ((250, 410, 180), (500, 330), (120, 275, 300, 415), (90,), (640, 205), (330, 330))
NONSENSE_ML: Final = 5_000_000
LEAK_ML: Final = 140


@dataclass(frozen=True)
class Evening:
    """Subjects of the pictures."""

    stuck_visit_id: str
    visit_id: str
    guest_id: str
    coming_guest_id: str
    """Somebody who is not here yet."""
    keg_id: str
    incident_ids: Sequence[str]
    bound_card: str
    lost_card: str


async def have_an_evening(api: Api, demo: DemoFile) -> Evening:
    """Let it all happen."""
    for visit in (await api.read("/api/visits?status=active&stuck=true"))["items"]:
        await api.make(f"/api/visits/{visit['visit_id']}/force-unlock", {"reason": "of an earlier evening"})
    kegs = await _stock(api)
    await _taps_out_of_service(api, kegs)
    await _full_keg(api, "open")
    coming = await api.make(
        "/api/guests", {"first_name": "Nadia", "last_name": "Okonkwo", "phone": "+44 20 7946 0958", "age_checked": True}
    )
    visits = [await _guest(api, *guest) for guest in GUESTS]
    lost = await _lose_a_card(api)
    device = next(tap for tap in demo.taps if tap.path == "bar/taps/open")
    with OutsideTap.connected(demo, device) as tap:
        for visit, pours_ml in zip(visits, POURS_ML, strict=True):
            for volume_ml in pours_ml:
                with suppress(AssertionError, KeyError):  # who has nothing left is denied, as in earnest
                    tap.settle(tap.report(tap.ask(tap.question(visit["card_uid"])), volume_ml))
        await _late_report(api, tap, visits[1])
        tap.settle(tap.report({"pour_id": str(uuid4()), "card_uid": visits[2]["card_uid"]}, 380))
        _leak(tap)
        stuck = _unbelievable(tap, visits[0])
    incidents = (await api.read("/api/incidents?status=open&limit=50"))["items"]
    return Evening(
        stuck_visit_id=stuck["visit_id"],
        visit_id=visits[4]["visit_id"],
        guest_id=visits[2]["guest_id"],
        coming_guest_id=coming["guest_id"],
        keg_id=kegs[0],
        incident_ids=[
            next(one["incident_id"] for one in incidents if one["kind"] == kind) for kind in ("late_mismatch", "missing_pending")
        ],
        bound_card=visits[3]["card_uid"],
        lost_card=lost,
    )


async def _stock(api: Api) -> list[str]:
    """Beverages of every colour, full and half-empty kegs of them."""
    known = {beverage["name"]: beverage["beverage_id"] for beverage in (await api.read("/api/beverages?limit=200"))["items"]}
    kegs = []
    for number, (name, price_minor, style, abv) in enumerate(BEVERAGES):
        if name not in known:
            wanted = {"name": name, "sell_price_per_liter_minor": price_minor, "style": style, "abv": abv}
            known[name] = (await api.make("/api/beverages", wanted))["beverage_id"]
        keg = {"venue_id": "bar", "beverage_id": known[name], "initial_volume_ml": 20_000 + 10_000 * (number % 3)}
        kegs.append((await api.make("/api/kegs", keg))["keg_id"])
    await api.make(f"/api/kegs/{kegs[0]}/stock", {"kind": "correction", "volume_ml": 18_400, "reason": "poured at a festival"})
    await api.make(f"/api/kegs/{kegs[1]}/stock", {"kind": "line_cleaning", "volume_ml": 900, "reason": "line cleaning"})
    return kegs


async def _taps_out_of_service(api: Api, kegs: Sequence[str]) -> None:
    """One tap is cleaned, one has nothing to pour, one has hardly anything left."""
    for tap_id, name in (("terrace", "Terrace by the long window"), ("cellar", "Cellar"), ("garden", "Garden")):
        with suppress(HTTPStatusError):  # it is there already
            await api.make("/api/taps", {"venue_id": "bar", "tap_id": tap_id, "name": name})
    for tap_id, keg_id in (("terrace", kegs[2]), ("garden", kegs[0])):
        await api.put(f"/api/taps/bar/{tap_id}/keg", {"keg_id": keg_id})
    await api.change("/api/taps/bar/terrace", {"status": "cleaning", "reason": "line cleaning before the weekend"})


async def _full_keg(api: Api, tap_id: str) -> None:
    """A full keg of what the tap has now."""
    now = await api.read(f"/api/taps/bar/{tap_id}")
    keg = {"venue_id": "bar", "beverage_id": now["beverage_id"], "initial_volume_ml": 30_000}
    await api.put(f"/api/taps/bar/{tap_id}/keg", {"keg_id": (await api.make("/api/kegs", keg))["keg_id"]})


async def _guest(api: Api, first_name: str, last_name: str, phone: str, balance_minor: int) -> dict[str, Any]:
    """A guest who is here."""
    person = {"first_name": first_name, "last_name": last_name, "phone": phone, "age_checked": True}
    guest_id = (await api.make("/api/guests", person))["guest_id"]
    paid = {"amount_minor": balance_minor, "method": "card" if balance_minor > 20_00 else "cash", "venue_id": "bar"}
    await api.make(f"/api/guests/{guest_id}/top-ups", paid)
    issued = {"venue_id": "bar", "guest_id": guest_id, "card_uid": uuid4().hex[:8]}
    visit: dict[str, Any] = (await api.make("/api/visits/open-and-assign-card", issued))["visit"]
    return visit


async def _lose_a_card(api: Api) -> str:
    visit = await _guest(api, "Henrike", "Österberg", "+49 170 555 0144", 15_00)
    card: str = visit["card_uid"]
    await api.make(f"/api/cards/{card}/lost", {"reason": "the guest can't find it"})
    return card


async def _late_report(api: Api, tap: OutsideTap, visit: dict[str, Any]) -> None:
    """A pour is settled by hand, and then reported with another volume."""
    grant = tap.ask(tap.question(visit["card_uid"]))
    by_hand = {"pour_id": grant["pour_id"], "volume_ml": 212, "reason": "no report came"}
    await api.make(f"/api/visits/{visit['visit_id']}/reconcile-pour", by_hand)
    tap.settle(tap.report(grant, 300))


def _leak(tap: OutsideTap) -> None:
    """Beer flows with the valve closed."""
    from_ml, tap.odometer_ml = tap.odometer_ml, tap.odometer_ml + LEAK_ML
    flow = {
        "type": "unattributed_flow",
        "event_id": str(uuid4()),
        "cause": "closed_valve",
        "volume_ml": LEAK_ML,
        "duration_ms": 9_000,
        "card_uid": None,
        "age_ms": 0,
        "odometer_from_ml": from_ml,
        "odometer_to_ml": tap.odometer_ml,
        "journal_id": tap.journal_id,
        "boot_id": tap.boot_id,
    }
    tap.record(flow)


def _unbelievable(tap: OutsideTap, visit: dict[str, Any]) -> dict[str, Any]:
    """A pour whose report nobody can believe: it waits for a person."""
    grant = tap.ask(tap.question(visit["card_uid"]))
    tap.show_progress(grant, 265)
    tap.settle({**tap.report(grant, 0), "volume_ml": NONSENSE_ML})
    return visit
