"""Personal data: an operator never reads a guest's whole telephone number or birth date; a shift lead does, and that is audited."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar.routes import HTTPRoute

from tapwire_admin.app import create_app
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tests.rest import Rest, done, refusal, with_key
from tests.venue import Venue

PHONE, MASKED, BIRTH_DATE = "+34 611 22 33 44", "+•• ••• •• •• 44", "1987-06-05"
TELLTALES = ("611 22", "6112233", BIRTH_DATE)
STREAMS = ("/api/events", "/live", "/screen/{venue:str}/{tap:str}/live")
"""Endless; their facts are the audit log's rows."""


@dataclass(frozen=True)
class Known:
    """A guest with a history, and the ids that routes' paths name."""

    guest_id: UUID
    ids: dict[str, str]

    def path(self, template: str) -> str:
        """A route's path with these ids; what nothing has here gets an id of nothing."""
        parts = [part.strip("{}").split(":")[0] if part.startswith("{") else None for part in template.split("/")]
        filled = (self.ids.get(name, str(uuid4())) if name else part for name, part in zip(parts, template.split("/"), strict=True))
        return "/".join(filled)


@pytest.fixture
async def known(rest: Rest, venue: Venue) -> Known:
    """A guest whose data are recognisable, after an evening: money, pours, an incident, a refused check-in, a lost card."""
    new = {"first_name": "Zoe", "last_name": "Zimmer", "phone": PHONE, "birth_date": BIRTH_DATE}
    guest_id = done(await rest.operator.post("/api/guests", json=new), 201)["guest_id"]
    who = {"venue_id": "bar", "guest_id": guest_id, "card_uid": "04a1b2c3"}
    visit = done(await rest.operator.post("/api/visits/open-and-assign-card", json=who), 201)["visit"]
    refusal(
        await rest.operator.post("/api/visits/open-and-assign-card", json={**who, "card_uid": "04a1b2c4"}),
        409,
        "visit_already_active",
    )
    paid = {"amount_minor": 100_00, "method": "cash", "venue_id": "bar"}
    done(await rest.operator.post(f"/api/guests/{guest_id}/top-ups", json=paid, headers=with_key()), 201)
    grant = await venue.ask(venue.tap.question("04a1b2c3"))
    settled = await venue.deliver(venue.tap.report(grant.pour_id, "04a1b2c3", grant.max_volume_ml + 200))  # type: ignore[union-attr]
    shift = done(await rest.operator.get("/api/shifts/current"))["shift_id"]
    incident = done(await rest.operator.get("/api/incidents"))["items"][0]["incident_id"]
    changed = {"phone": PHONE.replace(" ", "-"), "last_name": "Zander"}
    done(await rest.operator.patch(f"/api/guests/{guest_id}", json=changed))
    ids = {"guest_id": guest_id, "visit_id": visit["visit_id"], "pour_id": str(settled.pour_id), "card_uid": "04a1b2c3"}
    more = {
        "venue": "bar",
        "tap": "left",
        "keg_id": str(venue.keg_id),
        "shift_id": shift,
        "incident_id": incident,
        "language": "en",
    }
    return Known(UUID(guest_id), ids | more | {"theme": "dark"})


async def test_lists_of_guests_mask_numbers_and_leave_out_birth_dates(rest: Rest, venue: Venue) -> None:
    guest = {"first_name": "Ann", "phone": "+34 612 55 01 09", "birth_date": "1990-05-01"}
    done(await rest.operator.post("/api/guests", json=guest), 201)
    done(await rest.operator.post("/api/guests", json={**guest, "first_name": "Kid", "birth_date": "2020-05-01"}), 201)

    for client in (rest.operator, rest.engineer):
        kid, ann = done(await client.get("/api/guests"))["items"]
        assert (ann["phone"], ann["of_age"], kid["of_age"]) == ("+•• ••• •• •• 09", True, False)
        assert not {"birth_date", "age_checked_by", "age_checked_at"} & ann.keys()
        for page in ("/guests", "/parts/guests?search=ann", "/check-in/guests?search=ann"):
            text = (await client.get(page)).text
            assert ("Ann" in text, "612" in text) == (True, False), page


@pytest.mark.lasts
async def test_an_operator_finds_neither_number_nor_birth_date_on_any_page_or_route(rest: Rest, db: Database, known: Known) -> None:
    read, named = 0, 0
    for route in create_app(db).routes:
        assert isinstance(route, HTTPRoute)
        handler = dict(route.route_handler_map).get("GET")
        if handler is None or route.path in STREAMS or route.path.startswith(("/static", "/schema")):
            continue
        if handler[0].opt["access"] not in (Role.SHIFT_LEAD, Role.ENGINEER):
            for query in ({}, {"guest_id": str(known.guest_id)}, {"search": "zoe"}, {"q": "zoe"}, {"status": "active"}):
                answer = await rest.operator.get(known.path(route.path), params=query)
                assert answer.status_code < 500, (route.path, answer.text)
                assert not [found for found in TELLTALES if found in answer.text], route.path
                read, named = read + answer.is_success, named + ("Zoe" in answer.text)
    assert (read > 200, named > 30) == (True, True), (read, named)

    rows = await db.pool.fetch("SELECT audit::text AS row FROM audit UNION ALL SELECT incidents::text FROM incidents")
    assert not [row["row"] for row in rows if any(found in row["row"] for found in TELLTALES)]


async def test_a_shift_lead_reads_them_on_the_guests_own_page_and_is_audited_once_an_hour(
    rest: Rest, owner_db: Database, known: Known
) -> None:
    own = f"/api/guests/{known.guest_id}"
    for_operator = done(await rest.operator.get(own))
    assert await readers(owner_db) == []

    whole = [done(await rest.shift_lead.get(own)) for _ in range(2)]
    page, form = [(await rest.shift_lead.get(f"/guests/{known.guest_id}{part}")).text for part in ("", "/change")]
    check_in = (await rest.shift_lead.get("/check-in", params={"guest_id": str(known.guest_id)})).text

    assert (for_operator["phone"], for_operator["of_age"], "birth_date" in for_operator) == (MASKED.replace(" ", "-"), True, False)
    assert {(guest["phone"], guest["birth_date"]) for guest in whole} == {(PHONE.replace(" ", "-"), BIRTH_DATE)}
    assert (BIRTH_DATE in page, BIRTH_DATE in form, "611-22" in form, "611-22" in check_in) == (True, True, True, False)
    assert await readers(owner_db) == ["shift_lead"]
    async with owner_db.transaction() as store:
        await store.connection.execute("SET LOCAL session_replication_role = replica")
        await store.connection.execute("UPDATE audit SET created_at = created_at - interval '61 minutes'")
    done(await rest.shift_lead.get(own))
    done(await rest.engineer.patch(own, json={"last_name": "Zimmer"}))
    assert await readers(owner_db) == ["shift_lead", "shift_lead", "engineer"]


async def test_an_operator_changes_what_they_typed_and_keeps_what_they_could_not_read(rest: Rest, known: Known) -> None:
    forged = {"noun": "guest", "key": str(known.guest_id), "values": {"first_name": "Zoe", "phone": "?", "birth_date": "?"}}

    async def change(client: httpx.AsyncClient, **typed: str) -> httpx.Response:
        form = {"first_name": "Zoe", "shown": json.dumps(forged), **typed}
        return await client.post(f"/guests/{known.guest_id}/change", data=form)

    async def stored() -> dict[str, Any]:
        guest: dict[str, Any] = done(await rest.engineer.get(f"/api/guests/{known.guest_id}"))
        return {name: guest[name] for name in ("first_name", "phone", "birth_date")}

    renamed = await change(rest.operator, first_name="Zora")
    assert (renamed.status_code, (await stored())["first_name"]) == (200, "Zora"), renamed.text
    assert await stored() == {"first_name": "Zora", "phone": PHONE.replace(" ", "-"), "birth_date": BIRTH_DATE}
    forged["values"] = {"first_name": "Zora", "phone": "?", "birth_date": "?"}
    corrected = await change(rest.operator, first_name="Zora", phone="+34 600 00 00 01")
    assert (corrected.status_code, (await stored())["phone"]) == (200, "+34 600 00 00 01"), corrected.text
    refused = await change(rest.shift_lead, first_name="Zora", phone="+34 600 00 00 02")
    assert ("changed" in refused.text, (await stored())["phone"]) == (True, "+34 600 00 00 01")


async def readers(db: Database) -> list[str]:
    """Who was audited to have read a guest's personal data, in order."""
    return [row["actor"] for row in await db.pool.fetch("SELECT actor FROM audit WHERE action = 'guest_read' ORDER BY audit_id")]
