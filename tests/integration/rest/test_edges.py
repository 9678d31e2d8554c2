"""The edges of the REST API: what is unreadable, what is too much, who asked, page by page, and the documentation."""

import re
from datetime import date, datetime
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec
import pytest

from tapwire_contracts import CONTRACT_VERSION
from tapwire_contracts.messages import MAX_INTEGER, PourProgress
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import newest_revision
from tapwire_core.domain.shown import Noun
from tapwire_core.services import guests
from tapwire_core.services.devices import add_device
from tapwire_core.services.nodes import keep_progress, note_state
from tests.rest import Rest, done, form_about, refusal, with_key
from tests.venue import OPERATOR, Venue

UNREADABLE_GUESTS = {
    "no JSON": b'{"first_name',
    "no object": b"[1]",
    "a NUL": b'{"first_name": "a\\u0000b"}',
    "half a surrogate": b'{"first_name": "\\ud800"}',
    "no UTF-8": b'{"first_name": "\xff"}',
    "an empty name": b'{"first_name": ""}',
    "a name too long": b'{"first_name": "' + b"a" * 201 + b'"}',
    "a text for a flag": b'{"first_name": "Ann", "age_checked": "true"}',
    "no date": b'{"first_name": "Ann", "birth_date": "1990-02-30"}',
    "nesting without end": b'{"first_name": ' + b"[" * 100_000,
}


async def test_an_unreadable_body_is_refused_and_says_why(rest: Rest, db: Database) -> None:
    for what, body in UNREADABLE_GUESTS.items():
        problem = refusal(await rest.operator.post("/api/guests", content=body), 400, "invalid")
        assert problem["detail"], what

    assert await db.pool.fetchval("SELECT count(*) FROM guests") == 0


async def test_a_missing_body_and_one_that_is_too_large_are_refused(rest: Rest) -> None:
    missing = refusal(await rest.operator.post("/api/guests"), 400, "invalid")

    assert "body" in missing["detail"]
    refusal(await rest.operator.post("/api/guests", content=b" " * 300_000), 413, "body_too_large")


NO_UTF8 = (
    b'{"username": "x", "password": "x", "claim": "x", "card_uid": "04a1b2c3", "amount_minor": 1, "method": "cash", "y": "\xff"}'
)


async def test_what_is_no_utf8_is_refused_in_a_field_that_nobody_knows_too(rest: Rest, venue: Venue) -> None:
    ann, device = await venue.guest(), await add_device(venue.db, OPERATOR, venue.tap.path)
    top_ups = f"/api/guests/{ann.guest_id}/top-ups"

    for path in ("/api/session", "/api/devices/pairings/claim", top_ups, "/api/visits/authorize-pour"):
        for what in (NO_UTF8, NO_UTF8.replace(b"\xff", b"\\ud800"), NO_UTF8.replace(b'"\xff"', b"1e999")):
            headers = {**with_key(), "X-Internal-Token": device.secret}
            refusal(await rest.operator.post(path, content=what, headers=headers), 400, "invalid")
    assert await venue.balance(ann) == (0, 0)


@pytest.mark.parametrize("since", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "1999-12-31T23:59:59Z"])
async def test_a_time_of_no_sane_year_is_refused_in_bodies_too(rest: Rest, since: str) -> None:
    webhook_id = uuid4()
    replay = f"/api/webhooks/{webhook_id}/replay"

    assert refusal(await rest.engineer.post(replay, json={"since": since}), 400, "invalid")["field"] == "since"
    refusal(await rest.engineer.post(replay, json={"since": "2026-05-01T20:00:00Z"}), 404, "not_found")
    typed = {"since": since[:16], **form_about(Noun.WEBHOOK, webhook_id)}
    said = (await rest.engineer.post(replay.removeprefix("/api"), data=typed, headers={"HX-Request": "true"})).text
    assert "Enter the time to start from." in said


UNREADABLE_PATHS = (
    "/api/guests?search=%00",
    "/api/guests?limit=0",
    "/api/guests?limit=201",
    "/api/guests?limit=many",
    "/api/guests?cursor=%00",
    "/api/guests?cursor=WzFd",
    "/api/guests?cursor=%FF",
    "/api/taps?cursor=WyJcdTAwMDAiXQ",
    "/api/audit?cursor=Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OTld",
    "/api/audit?since=yesterday",
    "/api/audit?since=2026-05-01T20:00:00",
    "/api/audit?since=0001-01-01T00:00:00%2B14:00",
    "/api/audit?subject=%00",
    "/api/pours?sync_status=poured",
    "/api/pours?tap=%00",
    "/api/taps?venue_id=%00",
    "/api/taps/%00/left",
    "/api/cards/%00",
    "/api/visits?status=gone",
)


async def test_an_unreadable_query_is_refused(rest: Rest) -> None:
    for path in UNREADABLE_PATHS:
        refusal(await rest.operator.get(path), 400, "invalid")


async def test_a_change_that_names_nothing_is_a_mistake(rest: Rest, venue: Venue) -> None:
    for path in ("/api/venues/bar", "/api/taps/bar/left", f"/api/beverages/{venue.beverage_id}", "/api/users/operator"):
        assert "at least one of" in refusal(await rest.engineer.patch(path, json={}), 400, "invalid")["detail"]


async def test_what_is_not_named_in_a_change_stays(rest: Rest, venue: Venue) -> None:
    new = {"first_name": "Ann", "last_name": "Lee", "phone": "+49 1", "birth_date": "1990-01-31"}
    guest_id = done(await rest.shift_lead.post("/api/guests", json=new), 201)["guest_id"]

    changed = done(await rest.shift_lead.patch(f"/api/guests/{guest_id}", json={"last_name": None, "age_checked": True}))

    assert (changed["first_name"], changed["last_name"], changed["phone"]) == ("Ann", None, "+49 1")
    assert (changed["birth_date"], changed["age_checked_by"]) == ("1990-01-31", "shift_lead")
    taken_back = done(await rest.shift_lead.patch(f"/api/guests/{guest_id}", json={"age_checked": False}))
    assert (taken_back["age_checked_by"], taken_back["age_checked_at"]) == (None, None)


@pytest.mark.parametrize(("given", "taken"), [("order-17", True), ("", False), ("a b", False), ("x" * 129, False)])
async def test_a_request_id_is_taken_or_made_echoed_and_kept_with_the_audit(rest: Rest, given: str, taken: bool) -> None:
    answer = await rest.operator.post("/api/guests", json={"first_name": "Ann"}, headers={"X-Request-ID": given})

    echoed = answer.headers["X-Request-ID"]
    assert (echoed == given) == taken
    audited = done(await rest.operator.get(f"/api/audit/?subject={done(answer, 201)['guest_id']}"))["items"]
    assert [(entry["action"], entry["request_id"], entry["actor"]) for entry in audited] == [("guest_created", echoed, "operator")]


async def test_problems_and_unknown_paths_carry_a_request_id_too(rest: Rest) -> None:
    for answer in (await rest.nobody.get("/nowhere"), await rest.nobody.get("/api/me"), await rest.nobody.put("/api/session")):
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


async def test_a_list_can_be_read_page_by_page_while_it_grows(rest: Rest, db: Database) -> None:
    made = [await guests.create_guest(db, OPERATOR, first_name=f"Guest {number}") for number in range(7)]

    seen, cursor = [], None
    for _ in range(4):
        page = done(await rest.operator.get("/api/guests", params={"limit": 2} | ({"cursor": cursor} if cursor else {})))
        seen += [guest["guest_id"] for guest in page["items"]]
        cursor = page["next_cursor"]
        await guests.create_guest(db, OPERATOR, first_name="Latecomer")

    assert seen == [str(guest_id) for guest_id in reversed(made)]
    assert cursor is None


async def test_a_list_can_be_read_the_other_way_round(rest: Rest, db: Database) -> None:
    made = [str(await guests.create_guest(db, OPERATOR, first_name=f"Guest {number}")) for number in range(3)]

    async def page(**query: str) -> tuple[list[str], str]:
        found = done(await rest.operator.get("/api/guests", params={"limit": "2", **query}))
        return [guest["guest_id"] for guest in found["items"]], found["next_cursor"]

    first, cursor = await page(sort="asc")
    assert first == made[:2]
    assert (await page(sort="asc", cursor=cursor))[0] == made[2:]
    assert (await page(sort="desc"))[0] == (await page())[0] == made[:0:-1]
    refusal(await rest.operator.get("/api/guests?sort=up"), 400, "invalid")


async def test_what_is_wrong_is_named_by_field_for_programs(rest: Rest, venue: Venue) -> None:
    top_ups = f"/api/guests/{(await venue.guest()).guest_id}/top-ups"
    absurd = {
        "amount_minor": ({"amount_minor": 10**30, "method": "cash"}, {"amount_minor": -1, "method": "cash"}),
        "method": ({"amount_minor": 1, "method": "gold"}, {"amount_minor": 1}),
        "venue_id": ({"amount_minor": 1, "method": "cash", "venue_id": "\0"},),
    }

    for field, bodies in absurd.items():
        for body in bodies:
            assert refusal(await rest.operator.post(top_ups, json=body, headers=with_key()), 400, "invalid")["field"] == field
    assert refusal(await rest.operator.get("/api/guests?limit=0"), 400, "invalid")["field"] == "limit"
    for field, query in {"from": "to=2026-05-01", "to": "from=2026-05-01"}.items():
        missing = refusal(await rest.operator.get(f"/api/reports/sales?{query}"), 400, "invalid")
        assert (missing["field"], [wrong["field"] for wrong in missing["errors"]]) == (field, [field])
    assert refusal(await rest.operator.get("/api/kegs/suggest"), 400, "invalid")["field"] == "beverage_id"
    assert refusal(await rest.operator.post(top_ups, content=b"{", headers=with_key()), 400, "invalid")["field"] == "body"
    foreign = await rest.operator.post(
        f"/api/guests/{uuid4()}/top-ups", json={"amount_minor": 1, "method": "cash"}, headers=with_key()
    )
    refusal(foreign, 404, "not_found")
    assert await venue.db.pool.fetchval("SELECT count(*) FROM money_movements") == 0


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "image/png"]
)
async def test_a_body_that_is_said_to_be_no_json_is_not_read(rest: Rest, venue: Venue, kind: str) -> None:
    body, header = b'{"first_name": "Ann"}', {"Content-Type": kind}

    refusal(await rest.operator.post("/api/guests", content=body, headers=header), 415, "unsupported_media_type")
    secret = (await add_device(venue.db, OPERATOR, venue.tap.path)).secret
    sync = await rest.nobody.post("/api/sync/pours", content=b'{"pours": []}', headers={**header, "X-Internal-Token": secret})
    refusal(sync, 415, "unsupported_media_type")
    for json_kind in ("application/json; charset=utf-8", "application/vnd.bar+json"):
        done(await rest.operator.post("/api/guests", content=body, headers={"Content-Type": json_kind}), 201)


async def test_a_method_that_a_route_has_not_is_refused_with_those_that_it_has(rest: Rest) -> None:
    answer = await rest.engineer.put("/api/guests")

    refusal(answer, 405, "method_not_allowed")
    assert {"GET", "POST"} <= {method.strip() for method in answer.headers["Allow"].split(",")}


async def test_a_card_is_the_same_however_it_is_written(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(card_uid="04a1b2c3")

    for written in ("04A1B2C3", "04:a1:B2:c3", "04 A1-B2 C3"):
        assert done(await rest.operator.get(f"/api/cards/{quote(written)}"))["card_uid"] == "04a1b2c3"
        found = done(await rest.operator.get(f"/api/visits/active/by-card/{quote(written)}"))
        assert found["visit_id"] == str(ann.visit_id)
    for none in ("04a1b2", "zz", "04a1b2c3d"):
        assert refusal(await rest.operator.get(f"/api/cards/{none}"), 400, "invalid")["field"] == "card_uid"


async def test_guests_are_found_by_the_start_of_a_name_or_by_phone(rest: Rest, db: Database) -> None:
    for first, last, phone in (("Ann", "Lee", "+491"), ("Leo", None, "+492"), ("100%", "_", "+493")):
        await guests.create_guest(db, OPERATOR, first_name=first, last_name=last, phone=phone, birth_date=date(1990, 1, 1))

    async def found(**query: str) -> set[str]:
        return {guest["first_name"] for guest in done(await rest.operator.get("/api/guests", params=query))["items"]}

    assert await found(search="le") == {"Ann", "Leo"}
    assert await found(search="100%") == {"100%"}
    assert await found(search="%") == set()
    assert await found(phone="+492") == {"Leo"}


async def test_the_audit_log_is_searched_by_action_subject_and_time(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=1)
    now: datetime = await venue.db.pool.fetchval("SELECT now()")

    async def actions(query: str) -> list[str]:
        return [entry["action"] for entry in done(await rest.operator.get(f"/api/audit?{query}"))["items"]]

    assert await actions("action=top_up") == ["top_up"]
    assert await actions(f"subject={ann.card_uid}") == ["card_assigned", "card_bound"]
    assert await actions(f"since={quote(now.isoformat())}") == []
    await venue.denial(ann)
    assert await actions(f"since={quote(now.isoformat())}") == ["insufficient_funds_denied"]


async def test_pours_are_filtered_and_show_their_reports(rest: Rest, venue: Venue) -> None:
    ann, bob = await venue.guest(balance_minor=100_00), await venue.guest(balance_minor=100_00)
    first = await venue.grant(ann)
    await venue.report(first, 100)
    second = await venue.grant(bob)

    async def listed(query: str) -> list[str]:
        return [pour["pour_id"] for pour in done(await rest.operator.get(f"/api/pours?{query}"))["items"]]

    assert await listed("tap=left") == await listed("tap=bar/taps/left") == [str(second.pour_id), str(first.pour_id)]
    assert await listed("sync_status=pending_sync") == [str(second.pour_id)]
    assert await listed(f"visit_id={ann.visit_id}") == [str(first.pour_id)]
    shown = done(await rest.operator.get(f"/api/pours/{first.pour_id}"))
    assert (shown["volume_ml"], shown["amount_minor"], shown["sync_status"]) == (100, 50_00, "synced")
    assert [report["verdict"]["outcome"] for report in shown["reports"]] == ["pending_updated_to_synced"]
    assert shown["reports"][0]["report"]["volume_ml"] == 100


async def test_an_incident_is_listed_claimed_and_resolved(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    await venue.report(await venue.grant(ann), 300)
    (incident,) = done(await rest.operator.get("/api/incidents?status=open"))["items"]
    path = f"/api/incidents/{incident['incident_id']}"

    claimed = done(await rest.operator.post(path + "/claim"))
    refusal(await rest.operator.post(path + "/resolve", json={"resolution": "no_action", "comment": "x"}), 403, "role_required")
    body = {"resolution": "charged", "comment": "the guest saw it", "amount_minor": 60_00}
    unknown = await rest.shift_lead.post(path + "/resolve", json={**body, "visit_id": str(uuid4())})
    assert refusal(unknown, 404, "not_found")["noun"] == "visit"
    resolved = done(await rest.shift_lead.post(path + "/resolve", json=body))

    assert (incident["kind"], incident["tap"]) == ("rejected_insufficient_funds", "bar/taps/left")
    assert (claimed["status"], claimed["owner"]) == ("claimed", "operator")
    assert (resolved["status"], resolved["resolution"]) == ("resolved", "charged")
    assert await venue.balance(ann) == (40_00, 0)
    refusal(await rest.shift_lead.post(path + "/resolve", json=body), 409, "already_resolved")
    await venue.books_balance()


async def test_the_system_status_says_what_waits(rest: Rest, venue: Venue) -> None:
    await venue.grant(await venue.guest(balance_minor=100_00))

    status = done(await rest.operator.get("/api/system/status"))

    assert status["system"]["pending_pours"] == 1
    assert status["system"]["commands_waiting"] > 0
    assert (status["system"]["schema_revision"], status["system"]["contract_version"]) == (newest_revision(), CONTRACT_VERSION)
    assert status["broker"] == {"connected": True, "core_workers": []}
    (bar,) = status["venues"]
    assert (bar["shift_open"], bar["taps"], bar["taps_unconfirmed"], bar["active_visits"]) == (True, 1, 1, 1)


async def test_a_device_shows_how_its_node_is(rest: Rest, venue: Venue) -> None:
    done(await rest.engineer.post("/api/devices", json={"path": "bar/taps/left"}), 201)
    venue.tap.odometer_ml = 1_200
    assert await note_state(venue.db, venue.tap.path, venue.tap.state(facts_open=2))

    (device,) = done(await rest.engineer.get("/api/devices"))["items"]

    assert (device["node_status"], device["node_software"], device["node_contract_version"]) == ("online", "test", "1.0")
    assert (device["node_odometer_ml"], device["node_facts_open"]) == (1_200, 2)
    assert device["node_contract_fits"]


@pytest.mark.parametrize(("version", "fits"), [("1.7", True), ("2.0", False), ("10.0", False)])
async def test_a_node_of_another_contract_is_shown_as_one_to_update(rest: Rest, venue: Venue, version: str, fits: bool) -> None:
    done(await rest.engineer.post("/api/devices", json={"path": "bar/taps/left"}), 201)
    assert await note_state(venue.db, venue.tap.path, msgspec.structs.replace(venue.tap.state(), contract_version=version))

    (device,) = done(await rest.engineer.get("/api/devices"))["items"]
    page = (await rest.engineer.get("/devices")).text

    assert (device["node_contract_version"], device["node_contract_fits"]) == (version, fits)
    assert f"Contract {version}" in page
    assert ("is not compatible: update the older side" in page) is not fits


async def test_devices_get_secrets_that_are_shown_once_and_can_be_taken_away(rest: Rest, venue: Venue) -> None:
    path = {"path": "bar/taps/left"}
    made = done(await rest.engineer.post("/api/devices", json=path), 201)
    refusal(await rest.engineer.post("/api/devices", json=path), 409, "device_exists")
    rotated = done(await rest.engineer.post("/api/devices/rotate", json=path))

    assert made["username"] == "bar/taps/left"
    assert made["secret"] != rotated["secret"]
    done(await rest.engineer.post("/api/devices/revoke", json=path), 204)
    (device,) = done(await rest.engineer.get("/api/devices"))["items"]
    assert device["revoked_at"] is not None
    assert "secret" not in str(device)
    refusal(await rest.engineer.post("/api/devices", json={"path": "bar/pumps/left"}), 400, "invalid")
    refusal(await rest.engineer.post("/api/devices/rotate", json={"path": "bar/taps/none"}), 404, "not_found")


async def test_the_documentation_needs_nothing_from_elsewhere_and_names_every_route(rest: Rest) -> None:
    page = (await rest.nobody.get("/schema")).text
    document = done(await rest.nobody.get("/schema/openapi.json"))

    assert not re.search(r"(src|href)=\"?https?:", page)
    assert all(path in page for path in document["paths"])


async def test_a_fault_is_a_clear_answer_without_its_inside(rest: Rest, owner_db: Database) -> None:
    await owner_db.pool.execute("ALTER TABLE devices RENAME TO elsewhere")

    problem = refusal(await rest.engineer.get("/api/devices"), 500, "internal_error")

    assert "devices" not in problem["detail"]
    assert problem["request_id"]


async def test_health_tells_life_from_readiness(rest: Rest) -> None:
    answers: list[httpx.Response] = [await rest.nobody.get("/health/live"), await rest.nobody.get("/health/ready")]

    assert [answer.status_code for answer in answers] == [200, 200]


async def test_the_largest_numbers_that_a_node_may_say_blind_no_screen(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    state = msgspec.structs.replace(venue.tap.state(), facts_open=MAX_INTEGER, config_revision=MAX_INTEGER, uptime_ms=MAX_INTEGER)
    assert await note_state(venue.db, venue.tap.path, state)
    progress = PourProgress(pour_id=grant.pour_id, volume_ml=MAX_INTEGER, elapsed_ms=MAX_INTEGER)
    await keep_progress(venue.db, {str(venue.tap.path): progress})

    for path in ("visits", "visits?stuck=true", "pours", "taps", "venues", "devices", "system/status"):
        done(await rest.engineer.get(f"/api/{path}"))
    visit = done(await rest.operator.get(f"/api/visits/{ann.visit_id}"))
    tap = done(await rest.operator.get("/api/taps/bar/left"))
    reconcile = {"pour_id": str(grant.pour_id), "volume_ml": 100, "reason": "seen on the glass"}
    reconciled = done(await rest.shift_lead.post(f"/api/visits/{ann.visit_id}/reconcile-pour", json=reconcile))

    assert visit["pending_pour"]["progress_ml"] == MAX_INTEGER
    assert (tap["node_facts_open"], tap["config_confirmed"]) == (MAX_INTEGER, True)
    assert reconciled["sync_status"] == "reconciled"
