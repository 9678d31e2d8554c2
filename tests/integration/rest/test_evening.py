"""A whole evening through HTTP alone, on the program as it runs: from an empty house to the Z report, and the books balance."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self

import httpx
import pytest

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.policy import Policy
from tapwire_core.services.books import check_books
from tapwire_core.services.users import create_user
from tests.integration.rest.test_process import running
from tests.rest import done, refusal, with_key
from tests.venue import OPERATOR

PASSWORD = "correct horse"
PRICE_MINOR = 10_00
"""10.00 a litre: one millilitre costs one minor unit."""
KEG_ML = 30_000


@dataclass
class Evening:
    """A venue with one tap, run by three people who have nothing but HTTP; the tap's controller speaks HTTP too."""

    engineer: httpx.AsyncClient
    lead: httpx.AsyncClient
    operator: httpx.AsyncClient
    controller: httpx.AsyncClient
    keg_id: str

    @classmethod
    async def begin(cls, engineer: httpx.AsyncClient, people: dict[str, httpx.AsyncClient]) -> Self:
        """Set the venue up as an engineer does, and log the others in."""
        await log_in(engineer, "eve")
        for username, role in (("liz", Role.SHIFT_LEAD), ("otto", Role.OPERATOR)):
            body = {"username": username, "role": role, "password": PASSWORD}
            done(await engineer.post("/api/users", json=body), 201)
            await log_in(people[username], username)
        venue = {"venue_id": "bar", "name": "The Bar", "time_zone": "Europe/Berlin"}
        done(await engineer.post("/api/venues", json=venue), 201)
        done(await engineer.post("/api/taps", json={"tap_id": "left", "name": "Left"}), 201)
        pils = {"name": "Pils", "sell_price_per_liter_minor": PRICE_MINOR}
        beverage_id = done(await engineer.post("/api/beverages", json=pils), 201)["beverage_id"]
        keg = {"beverage_id": beverage_id, "initial_volume_ml": KEG_ML}
        done(await people["otto"].post("/api/kegs", json=keg), 201)
        keg_id = done(await people["otto"].get("/api/kegs/suggest", params={"beverage_id": beverage_id}))["keg_id"]
        done(await people["otto"].put("/api/taps/bar/left/keg", json={"keg_id": keg_id}))
        secret = done(await engineer.post("/api/devices", json={"path": "bar/taps/left"}), 201)["secret"]
        people["tap"].headers["X-Internal-Token"] = secret
        return cls(engineer, people["liz"], people["otto"], people["tap"], keg_id)

    async def guest(self, first_name: str, card_uid: str, balance_minor: int = 0) -> dict[str, Any]:
        """A guest comes, pays in, and gets a card: the visit."""
        guest_id = done(await self.operator.post("/api/guests", json={"first_name": first_name, "age_checked": True}), 201)[
            "guest_id"
        ]
        if balance_minor:
            top_up = {"amount_minor": balance_minor, "method": "cash"}
            done(await self.operator.post(f"/api/guests/{guest_id}/top-ups", json=top_up, headers=with_key()), 201)
        body = {"guest_id": guest_id, "card_uid": card_uid}
        opened = done(await self.operator.post("/api/visits/open-and-assign-card", json=body), 201)
        assert opened["stages"] == ["bound", "assigned"]
        return dict(opened["visit"])

    async def ask(self, card_uid: str) -> httpx.Response:
        """A card is laid on the tap."""
        return await self.controller.post("/api/visits/authorize-pour", json={"card_uid": card_uid, "tap_id": "left"})

    async def report(self, pour_id: str, card_uid: str, volume_ml: int) -> dict[str, Any]:
        """The tap says what flowed: the verdict."""
        item = {"pour_id": pour_id, "card_uid": card_uid, "volume_ml": volume_ml, "duration_ms": 8_000}
        (result,) = done(await self.controller.post("/api/sync/pours", json={"pours": [item]}))["results"]
        return dict(result)

    async def pour(self, card_uid: str, volume_ml: int) -> str:
        """A guest pours; the pour's id."""
        grant = done(await self.ask(card_uid))
        assert (await self.report(grant["pour_id"], card_uid, volume_ml))["outcome"] == "pending_updated_to_synced"
        return str(grant["pour_id"])

    async def audited(self, action: str, subject: str) -> list[dict[str, Any]]:
        """The audit log's entries of an action, about a subject."""
        found = await self.operator.get("/api/audit/", params={"action": action, "subject": subject})
        return list(done(found)["items"])


async def log_in(client: httpx.AsyncClient, username: str) -> None:
    """Log in, and send the token from now on."""
    session = done(await client.post("/api/session", json={"username": username, "password": PASSWORD}), 201)
    client.headers["Authorization"] = f"Bearer {session['token']}"


@pytest.fixture
async def evening(database_url: str) -> AsyncIterator[Evening]:
    """A venue set up over HTTP, on the program as it runs; afterwards the books must balance."""
    async with Database.open(database_url, Policy()) as db:
        await create_user(db, OPERATOR, "eve", Role.ENGINEER, PASSWORD)
        async with (
            running(database_url) as engineer,
            httpx.AsyncClient(base_url=engineer.base_url) as lead,
            httpx.AsyncClient(base_url=engineer.base_url) as operator,
            httpx.AsyncClient(base_url=engineer.base_url) as controller,
        ):
            yield await Evening.begin(engineer, {"liz": lead, "otto": operator, "tap": controller})
        assert await check_books(db) == []


async def test_an_evening_from_opening_the_shift_to_the_z_report(evening: Evening) -> None:
    shift = done(await evening.operator.post("/api/shifts/open", json={}), 201)
    ann = await evening.guest("Ann", "04A1:B2-C3", 20_00)
    bob = await evening.guest("Bob", "04d4e5f6", 10_00)
    await evening.pour("04a1b2c3", 400)
    await evening.pour("04d4e5f6", 300)

    # Ann loses her card while she pours; it settles as reported, and her next card works
    grant = done(await evening.ask("04a1b2c3"))
    done(await evening.operator.post("/api/cards/04a1b2c3/lost", json={"reason": "gone"}))
    assert (await evening.report(grant["pour_id"], "04a1b2c3", 250))["status"] == "accepted"
    assert (await evening.ask("04a1b2c3")).json()["detail"]["reason"] == "lost_card"
    done(await evening.operator.post(f"/api/visits/{ann['visit_id']}/assign-card", json={"card_uid": "04 0a 0b 0c"}))
    await evening.pour("040a0b0c", 350)

    # the tap's report of Bob's second pour never comes, and the shift can't close until the lead has judged it
    lost = done(await evening.ask("04d4e5f6"))["pour_id"]
    problem = refusal(await evening.lead.post("/api/shifts/close", json={}), 409, "shift_in_use")
    assert {visit["guest_name"] for visit in problem["active_visits"]} == {"Ann", "Bob"}
    assert [(pour["pour_id"], pour["tap"]) for pour in problem["pending_pours"]] == [(lost, "bar/taps/left")]
    judged = {"pour_id": lost, "volume_ml": 200, "reason": "seen on the glass"}
    done(await evening.lead.post(f"/api/visits/{bob['visit_id']}/reconcile-pour", json=judged))

    # both get back what is left, and go
    for visit, left_minor in ((ann, 10_00), (bob, 5_00)):
        guest = f"/api/guests/{visit['guest_id']}"
        assert done(await evening.operator.get(guest))["available_minor"] == left_minor
        refund = {"amount_minor": left_minor, "method": "cash", "reason": "goes home"}
        refusal(await evening.operator.post(f"{guest}/refunds", json=refund, headers=with_key()), 403, "role_required")
        done(await evening.lead.post(f"{guest}/refunds", json=refund, headers=with_key()), 201)
        done(await evening.operator.post(f"/api/visits/{visit['visit_id']}/close", json={}))

    done(await evening.lead.post("/api/shifts/close", json={}))
    reports = f"/api/shifts/{shift['shift_id']}/reports"
    z_report = done(await evening.lead.post(f"{reports}/z"), 201)
    refusal(await evening.lead.post(f"{reports}/z"), 409, "z_report_made")

    totals, till = z_report["totals"], z_report["till"]
    assert (totals["pours"], totals["sold_ml"], totals["sold_minor"]) == (5, 1_500, 15_00)
    assert (totals["pending_pours"], totals["rejected_ml"], totals["unattributed_ml"], totals["written_off_ml"]) == (0, 0, 0, 0)
    nothing = {"adjustments_minor": 0, "reversals_minor": 0, "comps_minor": 0}
    assert till == {"top_ups_minor": 30_00, "refunds_minor": 15_00, **nothing}
    assert {name: sums["refunds_minor"] for name, sums in z_report["by_operator"].items()} == {"liz": 15_00, "otto": 0}
    assert done(await evening.operator.get(f"{reports}/z")) == z_report
    assert done(await evening.operator.get(f"/api/kegs/{evening.keg_id}"))["book_volume_ml"] == KEG_ML - 1_500


async def test_without_money_nothing_flows_and_nothing_stays_locked(evening: Evening) -> None:
    # open shift, zero-balance guest, card, visit, tap, authorize-pour
    done(await evening.operator.post("/api/shifts/open", json={}), 201)
    visit = await evening.guest("Poor Paul", "04a1b2c3")

    answer = await evening.ask("04a1b2c3")

    # 403 with reason and message, no lock, no pending pour, audit `insufficient_funds_denied`
    message = "Insufficient funds: top up guest balance before pouring."
    assert (answer.status_code, answer.json()) == (403, {"detail": {"reason": "insufficient_funds", "message": message}})
    seen = done(await evening.operator.get(f"/api/visits/{visit['visit_id']}"))
    assert (seen["active_tap_id"], seen["lock_set_at"], seen["pending_pour"]) == (None, None, None)
    assert done(await evening.operator.get("/api/taps/bar/left"))["status"] == "active"
    assert done(await evening.operator.get("/api/pours"))["items"] == []
    assert len(await evening.audited("insufficient_funds_denied", "04a1b2c3")) == 1


async def test_what_was_never_authorised_is_told_apart_and_makes_no_pour(evening: Evening) -> None:
    done(await evening.operator.post("/api/shifts/open", json={}), 201)
    await evening.guest("Ann", "04a1b2c3", 20_00)
    pour_id = "0b8b1c3e-6a53-4a57-9b62-5f1f0f6b2a11"

    # sync without pending → 200, `audit_only`, `audit_missing_pending`
    result = await evening.report(pour_id, "04a1b2c3", 250)

    # no pour row, audit `sync_missing_pending`
    expected = {"status": "audit_only", "outcome": "audit_missing_pending", "reason": "missing_pending_authorize"}
    assert result == {"pour_id": pour_id, **expected}
    assert done(await evening.operator.get("/api/pours"))["items"] == []
    refusal(await evening.operator.get(f"/api/pours/{pour_id}"), 404, "not_found")
    assert len(await evening.audited("sync_missing_pending", pour_id)) == 1
