"""Names, telephone numbers and birth dates of guests: where they are while guests are there, and that erasing leaves none.

An evening through every door: REST, the console's forms, MQTT and a controller's HTTP, with webhooks and Home Assistant on.
"""

import asyncio
import html
import json
import logging
import secrets
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.tasks import end_tasks
from tapwire_core.db.backup import write_backup
from tapwire_core.db.engine import Database
from tapwire_core.services import webhooks
from tapwire_core.services.imports import import_guests
from tapwire_core.services.webhooks import SUBSCRIBABLE
from tapwire_core.settings import Settings
from tapwire_core.worker.worker import run_core
from tapwire_demo.broker import Account, EmbeddedBroker
from tests.integration.node.rig import service_client
from tests.integration.webhooks.rig import until, with_limits
from tests.mqtt_tap import MqttTap, connect_tap
from tests.receiver import Receiver
from tests.rest import Rest, done, refusal, with_key
from tests.venue import OPERATOR, Venue

ZOE = {"first_name": "Zoraya", "last_name": "Quimbleton", "phone": "+34 611 22 33 44", "birth_date": "1987-06-05"}
VIC = {
    "first_name": "Vicentico",
    "last_name": "Ostrander",
    "phone": "+34-622-334-455",
    "birth_date": "1978-11-23",
    "age_checked": True,
}
TELLTALES = (
    *("zoraya", "quimbleton", "vicentico", "ostrander", "wilhelmsen", "torvaldina"),
    *("611 22", "611-22", "61122", "622-334", "622334", "633 44", "63344"),
    *("1987-06-05", "19870605", "1978-11-23"),
)
"""What says who the test's guests are, in any case; `tsvector` and CSV write the same words."""
OF_GUESTS = {"guests", "search_entries", "authorization_answers"}
"""The tables that know guests: themselves, what they are found by, and what a tap was told, to repeat it."""
ALL_DELIVERED = "SELECT bool_and(status = 'delivered') AND count(*) > 10 FROM webhook_deliveries"
ERASURES_DELIVERED = """SELECT count(*) = $1 FROM webhook_deliveries JOIN webhook_events USING (event_id)
    WHERE event_type = 'guest.erased' AND status = 'delivered'"""
QUIET_S = 1.0


def told(content: object) -> list[str]:
    """What of a content says who a guest is."""
    text = content.decode("utf-8", errors="replace") if isinstance(content, bytes) else str(content)
    return [telltale for telltale in TELLTALES if telltale in text.casefold()]


@dataclass
class Watched:
    """All that went over the broker."""

    came: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass(frozen=True)
class Evening:
    """The doors of one venue."""

    rest: Rest
    venue: Venue
    tap: MqttTap
    receiver: Receiver
    watched: Watched


@pytest.fixture
async def evening(venue: Venue, rest: Rest, mosquitto: EmbeddedBroker, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Evening]:
    """A venue with a core worker, Home Assistant, webhooks and a tap; every line that is logged is kept."""
    caplog.set_level(logging.DEBUG)
    await mosquitto.add_account(Account("home", secrets.token_urlsafe(), BrokerRole.HOME))
    await mosquitto.add_account(Account(str(venue.tap.path), secrets.token_urlsafe(), BrokerRole.DEVICE))
    settings = Settings(
        database_url=venue.db.url, broker_url=mosquitto.url("core"), home_assistant=True, webhook_private_targets=True
    )
    async with Receiver.open() as receiver:
        await webhooks.create_webhook(with_limits(venue.db), OPERATOR, url=receiver.url, event_types=sorted(SUBSCRIBABLE))
        core = asyncio.create_task(run_core(settings))
        try:
            async with listening(mosquitto) as watched, connect_tap(mosquitto, str(venue.tap.path)) as tap:
                await tap.core()
                yield Evening(rest, venue, tap, receiver, watched)
        finally:
            await end_tasks(core)


@asynccontextmanager
async def listening(broker: EmbeddedBroker) -> AsyncIterator[Watched]:
    """All topics, as the broker's watcher and Home Assistant hear them."""
    watched = Watched()

    async def listen(account: str, topics: list[tuple[str, int]]) -> None:
        async with service_client(broker, account, f"{account}-{secrets.token_hex(4)}") as client:
            await client.subscribe(topics)
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                watched.came.append((str(message.topic), message.payload))

    topics = {"watcher": [("tapwire/#", 1)], "home": [("tapwire/home/v1/#", 1), ("homeassistant/#", 1)]}
    tasks = [asyncio.create_task(listen(account, its)) for account, its in topics.items()]
    await asyncio.sleep(QUIET_S)
    try:
        yield watched
    finally:
        await end_tasks(*tasks)


async def tables_that_tell(db: Database) -> dict[str, list[str]]:
    """Each table with what one of its rows tells, every column looked at."""
    names = await db.pool.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    found: dict[str, list[str]] = {}
    for name in sorted(row["table_name"] for row in names):
        rows = await db.pool.fetch(f'SELECT * FROM "{name}"')
        if telling := sorted({one for row in rows for value in row.values() for one in told(value)}):
            found[name] = telling
    return found


def log_lines_that_tell(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """Log lines of any program that say who a guest is; httpx logs the addresses that this test asks for."""
    for record in caplog.get_records("call"):
        if not record.name.startswith(("httpx", "httpcore")) and told(record.getMessage() + str(record.exc_text)):
            yield f"{record.name}: {record.getMessage()}"


async def play(evening: Evening) -> list[str]:
    """Guests come by every door, pour, are refused, and go; returns their ids."""
    rest, venue, tap = evening.rest, evening.venue, evening.tap
    why = {"reason": "as said"}
    zoe = done(await rest.operator.post("/api/guests", json=ZOE, headers=with_key()), 201)["guest_id"]
    vic = done(await rest.operator.post("/api/guests", json=VIC, headers=with_key()), 201)["guest_id"]
    await import_guests(venue.db, OPERATOR, ["first_name,phone,age_checked\n", "Torvaldina,+34 633 44 55 66,yes\n"])
    torva = done(await rest.operator.get("/api/guests", params={"search": "torvaldina"}))["items"][0]["guest_id"]
    done(await rest.shift_lead.patch(f"/api/guests/{zoe}", json={"last_name": "Wilhelmsen", "birth_date": "1987-06-05"}))
    form = {"key": secrets.token_hex(8), "first_name": "Vicentico", "phone": "+34 622 33 44 55", "birth_date": "1978-11-23"}
    assert (await rest.shift_lead.post(f"/guests/{vic}/change", data={**form, **await shown(rest, vic)})).is_success
    refusal(await rest.operator.post("/api/guests", json={**ZOE, "phone": "61122x"}), 400, "invalid")
    refusal(await rest.operator.post("/api/guests", json={**ZOE, "birth_date": "1987-06-05", "nonsense": 1}), 400, "invalid")

    visits = {}
    for guest_id, card in ((zoe, "04a1b2c3"), (vic, "04a1b2c4"), (torva, "04a1b2c5")):
        who = {"venue_id": "bar", "guest_id": guest_id, "card_uid": card}
        opened = done(await rest.operator.post("/api/visits/open-and-assign-card", json=who, headers=with_key()), 201)
        visits[guest_id] = opened["visit"]["visit_id"]
    who = {"venue_id": "bar", "guest_id": zoe, "card_uid": "04a1b2c9"}
    refusal(await rest.operator.post("/api/visits/open-and-assign-card", json=who), 409, "visit_already_active")
    refusal(await rest.operator.post(f"/api/guests/{zoe}/cards", json={"card_uid": "04a1b2c4"}), 409, "bind_conflict")

    await denied(tap, venue, "04a1b2c3")
    for guest_id in (zoe, vic, torva):
        paid = {"amount_minor": 100_00, "method": "cash", "venue_id": "bar"}
        first = done(await rest.operator.post(f"/api/guests/{guest_id}/top-ups", json=paid, headers=(key := with_key())), 201)
        assert done(await rest.operator.post(f"/api/guests/{guest_id}/top-ups", json=paid, headers=key), 201) == first
    done(await rest.shift_lead.post(f"/api/guests/{zoe}/comps", json={"amount_minor": 1_00, **why}, headers=with_key()), 201)
    done(await rest.shift_lead.post(f"/api/guests/{zoe}/adjustments", json={"amount_minor": -1_00, **why}, headers=with_key()), 201)

    pour = await granted(tap, venue, "04a1b2c3")
    await tap.send("pour/completed", venue.tap.report(pour, "04a1b2c3", 100))
    await tap.command("pour_settled")
    await tap.send("pour/completed", venue.tap.report(pour, "04a1b2c3", 130))
    await tap.command("pour_settled", count=2)
    over = await granted(tap, venue, "04a1b2c4", count=2)
    await tap.send("pour/completed", venue.tap.report(over, "04a1b2c4", 400))
    await tap.command("pour_settled", count=3)
    await tap.send("card", b'{"type": "card_presented", "nonsense": true}')
    await tap.send("pour/completed", {"type": "pour_completed", "pour_id": str(over), "volume_ml": -1})
    done(await rest.operator.patch("/api/taps/bar/left", json={"status": "active"}))
    for guest_id in (zoe, vic):
        for path in (
            f"/guests/{guest_id}",
            f"/visits/{visits[guest_id]}",
            f"/api/guests/{guest_id}/export",
            "/audit",
            "/attention",
        ):
            assert (await rest.shift_lead.get(path)).is_success, path
    done(await rest.operator.post("/api/cards/04a1b2c5/lost", json=why))
    for incident in done(await rest.operator.get("/api/incidents", params={"status": "open"}))["items"]:
        ended = {"resolution": "no_action", "comment": "seen"}
        done(await rest.shift_lead.post(f"/api/incidents/{incident['incident_id']}/resolve", json=ended, headers=with_key()))
    for guest_id in (zoe, vic, torva):
        wish = {"payout": {"method": "cash"}, "card_returned": guest_id != torva}
        done(await rest.shift_lead.post(f"/api/visits/{visits[guest_id]}/check-out", json=wish, headers=with_key()))
    shift = done(await rest.operator.get("/api/shifts/current"))["shift_id"]
    done(await rest.shift_lead.post(f"/api/shifts/{shift}/reports/x", headers=with_key()), 201)
    done(await rest.shift_lead.post("/api/shifts/close", json={}))
    done(await rest.shift_lead.post(f"/api/shifts/{shift}/reports/z", headers=with_key()), 201)
    return [zoe, vic, torva]


async def shown(rest: Rest, guest_id: str) -> dict[str, str]:
    """The hidden field of a guest's form, as its page has it."""
    page = (await rest.shift_lead.get(f"/guests/{guest_id}/change")).text
    field_ = page.split('name="shown" value="')[1].split('"')[0]
    return {"shown": html.unescape(field_)}


async def denied(tap: MqttTap, venue: Venue, card: str) -> None:
    """A card without money on the tap."""
    await tap.send("card", venue.tap.question(card))
    denial = await tap.command("pour_denied")
    assert denial["reason"] == "insufficient_funds"


async def granted(tap: MqttTap, venue: Venue, card: str, count: int = 1) -> Any:
    """A card that pours; the pour's id."""
    await tap.send("card", venue.tap.question(card))
    return (await tap.command("pour_authorized", count=count))["pour_id"]


def tell(topics: Iterable[tuple[str, bytes]]) -> set[str]:
    """The topics on which somebody was named."""
    return {topic for topic, payload in topics if told(payload)}


@pytest.mark.lasts
async def test_names_are_where_guests_are_and_nowhere_after_they_were_erased(
    evening: Evening, owner_db: Database, mosquitto: EmbeddedBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guest_ids = await play(evening)
    await until(evening.venue.db, ALL_DELIVERED)

    before = await tables_that_tell(owner_db)
    assert set(before) == OF_GUESTS, before
    assert [heard.event["type"] for heard in evening.receiver.heard if told(heard.body)] == []
    assert tell(evening.watched.came) == {f"tapwire/v1/{evening.venue.tap.path}/command"}, "the tap's screen greets by name"

    for guest_id in guest_ids:
        asked = {"reason": "asked for it"}
        done(await evening.rest.shift_lead.post(f"/api/guests/{guest_id}/erase", json=asked, headers=with_key()))
    await until(evening.venue.db, ERASURES_DELIVERED, len(guest_ids))

    assert await tables_that_tell(owner_db) == {}
    erased = [heard.event for heard in evening.receiver.heard if heard.event["type"] == "guest.erased"]
    assert sorted(event["data"]["guest_id"] for event in erased) == sorted(guest_ids)
    assert [heard.event["type"] for heard in evening.receiver.heard if told(heard.body)] == []
    assert list(log_lines_that_tell(caplog)) == []
    async with listening(mosquitto) as retained:
        assert (tell(retained.came), len(retained.came) > 3) == (set(), True)
    await write_backup(evening.venue.db.url, tmp_path / "after.backup")
    with zipfile.ZipFile(tmp_path / "after.backup") as packed:
        assert {name: told(packed.read(name)) for name in packed.namelist() if told(packed.read(name))} == {}
    for path in ("/guests", "/visits", "/audit", "/attention", "/api/audit", "/api/guests", "/api/visits", "/api/pours", "/stock"):
        assert told((await evening.rest.shift_lead.get(path)).text) == [], path
    for guest_id in guest_ids:
        assert "Erased guest" in (await evening.rest.shift_lead.get(f"/guests/{guest_id}")).text
        assert told(json.dumps(done(await evening.rest.shift_lead.get(f"/api/guests/{guest_id}/export")))) == []
