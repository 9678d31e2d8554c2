"""Incidents of one kind and tap are ended together, over the API and in the console."""

import re
from html import unescape
from uuid import uuid4

from tapwire_contracts.reasons import IncidentKind, Malformation
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.services.nodes import keep_unusable
from tests.integration.rest.test_console_forms import Tab
from tests.rest import Rest, done, log_in, refusal
from tests.venue import Venue

BODY = {"kind": "missing_pending", "tap": "bar/taps/left", "resolution": "no_action", "comment": "a test of the meter"}


async def _raise_many(venue: Venue, count: int) -> None:
    for _ in range(count):
        await venue.deliver(venue.tap.report(uuid4(), "04a1b2c3", 10))


async def test_a_shift_lead_ends_all_incidents_of_a_kind_and_tap_and_no_other(rest: Rest, venue: Venue) -> None:
    await _raise_many(venue, 3)
    beside = await venue.another_tap("right")
    await venue.deliver(beside.report(uuid4(), "04a1b2c3", 10), beside)

    refusal(await rest.operator.post("/api/incidents/resolve", json=BODY), 403, "role_required")
    refusal(await rest.shift_lead.post("/api/incidents/resolve", json={**BODY, "resolution": "charged"}), 400, "invalid")
    ended = done(await rest.shift_lead.post("/api/incidents/resolve", json=BODY))

    assert ended == {"resolved": 3, "left": 0}
    assert [incident["tap_path"] for incident in await venue.incidents("missing_pending")] == ["bar/taps/right"]
    assert await venue.audited("incident_resolved") == 3


async def test_the_console_says_how_much_is_muted_and_ends_the_others_too(rest: Rest, venue: Venue, db: Database) -> None:
    await _raise_many(venue, db.policy.device_incidents_per_hour + 12)
    tab = Tab(rest, await log_in(db, Role.SHIFT_LEAD))
    (first, *_) = await venue.incidents(IncidentKind.MISSING_PENDING)
    path = f"/attention/{first['incident_id']}/resolve"

    page = (await rest.shift_lead.get("/parts/attention")).text
    dialog = (await rest.shift_lead.get(path)).text
    shown = await tab.see(path)
    ended = await tab.send(path, shown, resolution="no_action", comment="a test of the meter", together="true")

    assert "12 more" in page
    assert f"Also the other {db.policy.device_incidents_per_hour - 1} of this kind" in dialog
    assert ended.status_code == 200, ended.text
    assert await venue.incidents("missing_pending") == []


async def test_a_count_that_rises_meanwhile_does_not_keep_an_incident_open(rest: Rest, venue: Venue, db: Database) -> None:
    tab = Tab(rest, await log_in(db, Role.SHIFT_LEAD))
    await keep_unusable(db, "tapwire/v1/bar/taps/left/card", b"{", Malformation.NOT_JSON, "no", "bar/taps/left")
    (incident,) = await venue.incidents("dead_letter")
    path = f"/attention/{incident['incident_id']}/resolve"
    shown = await tab.see(path)
    await keep_unusable(db, "tapwire/v1/bar/taps/left/card", b"[", Malformation.NOT_JSON, "no", "bar/taps/left")

    ended = await tab.send(path, shown, resolution="no_action", comment="mended")

    assert ended.status_code == 200, ended.text
    assert await venue.incidents("dead_letter") == []


async def test_a_new_urgent_incident_is_first_before_a_thousand_older_ones(rest: Rest, venue: Venue, db: Database) -> None:
    await db.pool.execute(
        "INSERT INTO incidents (incident_id, kind, cause, status, venue_id, details, raised_at, last_seen_at, occurrences) "
        "SELECT gen_random_uuid(), CASE WHEN n = 1001 THEN 'unattributed_flow' ELSE 'keg_overdrawn' END, n::text, 'open', 'bar', "
        "'{}', now() - make_interval(secs => 2000 - n), now(), 1 FROM generate_series(1, 1001) n"
    )

    page = (await rest.operator.get("/attention")).text

    kinds = re.findall(r'data-kind="(\w+)"', page)
    assert (len(kinds), kinds[0], set(kinds[1:])) == (200, "unattributed_flow", {"keg_overdrawn"})
    assert "… and 801 more" in page
    (further,) = re.findall(r'href="(/attention\?cursor=[^"]+)"', page)
    assert "… and 601 more" in (await rest.operator.get(further)).text


async def test_a_taps_badge_leads_to_its_own_incidents(rest: Rest, venue: Venue, db: Database) -> None:
    await db.pool.execute(
        "INSERT INTO incidents "
        "(incident_id, kind, cause, status, venue_id, tap_path, details, raised_at, last_seen_at, occurrences) "
        "SELECT gen_random_uuid(), 'keg_overdrawn', n::text, 'open', 'bar', CASE WHEN n < 202 THEN 'bar/taps/left' END, '{}', "
        "now(), now(), 1 FROM generate_series(1, 300) n"
    )

    (badge,) = re.findall(r'class="tag is-bad" href="([^"]+)"', (await rest.operator.get("/")).text)
    page = (await rest.operator.get(badge)).text

    assert len(re.findall("data-kind=", page)) == 200
    (further,) = re.findall(r'href="(/attention\?tap=[^"]+cursor=[^"]+)"', page)
    assert len(re.findall("data-kind=", (await rest.operator.get(unescape(further))).text)) == 1
    assert unescape(re.findall(r'hx-get="(/parts/attention[^"]*)"', page)[0]) == badge.replace("/attention", "/parts/attention")
