"""Cards on desk readers: the console shows what lies there now, and issues nothing else."""

from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

import httpx
import pytest

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import CardRemoved, NodeState, PresentCard, ReaderCardPresented
from tapwire_contracts.reasons import Phase, Presence, ValveState
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.shown import Noun
from tapwire_core.services.devices import add_device
from tapwire_core.services.guests import create_guest
from tests.integration.rest.test_console_users import in_browser
from tests.rest import Rest, form_about, live, log_in
from tests.venue import OPERATOR, Venue

DESK = "bar/readers/desk"
CARD, OTHER = "04a1b2c3", "04d4e5f6"
WALL_CLOCK = "2026-05-01T20:00:00Z"


@dataclass
class Reader:
    """A desk reader that speaks to the console; `begin_anew` is its next process."""

    boot_id: UUID = field(default_factory=uuid4)
    connection: int = 1
    card_uid: str | None = None

    def lay(self, card_uid: str) -> None:
        self.card_uid = card_uid
        self.says(
            ReaderCardPresented(event_id=uuid4(), reader_id="desk", boot_id=self.boot_id, card_uid=card_uid, read_at=WALL_CLOCK)
        )
        self.shows()

    def take_off(self) -> None:
        assert self.card_uid is not None
        gone, self.card_uid = self.card_uid, None
        self.says(CardRemoved(event_id=uuid4(), card_uid=gone, reader_id="desk", removed_at=WALL_CLOCK, boot_id=self.boot_id))
        self.shows()

    def shows(self, status: Presence = Presence.ONLINE, connection: int | None = None) -> None:
        card = PresentCard(card_uid=self.card_uid, reader_id="desk", read_at=WALL_CLOCK) if self.card_uid else None
        is_online = status is Presence.ONLINE
        live().receive(
            f"tapwire/v1/{DESK}/state",
            encode(
                NodeState(
                    status=status,
                    phase=Phase.IDLE,
                    valve=ValveState.CLOSED,
                    card=card if is_online else None,
                    pour_id=None,
                    facts_open=0,
                    odometer_ml=0,
                    journal_id=self.boot_id,
                    boot_id=self.boot_id,
                    connection=connection or self.connection,
                    config_revision=0,
                    software="test",
                    contract_version="1",
                    uptime_ms=1,
                )
            ),
        )

    def loses_power(self) -> None:
        self.shows(Presence.OFFLINE)

    def begin_anew(self) -> "Reader":
        anew = replace(self, boot_id=uuid4(), card_uid=None)
        anew.shows()
        return anew

    @staticmethod
    def says(message: ReaderCardPresented | CardRemoved) -> None:
        live().receive(f"tapwire/v1/{DESK}/card", encode(message))


@dataclass
class Counter:
    """The counter: a guest who checks in, and the forms that issue a card."""

    rest: Rest
    headers: dict[str, str]
    guest_id: UUID
    reader: Reader

    async def checks_in(self, card_uid: str, **fields: str) -> httpx.Response:
        form = {**form_about(Noun.VENUE, "bar"), "guest_id": str(self.guest_id), "card_uid": card_uid, "reader": DESK, **fields}
        return await self.rest.nobody.post("/check-in", data=form, headers=self.headers)

    async def shows(self) -> str:
        """The check-in's page."""
        return (await self.rest.nobody.get("/check-in", headers=self.headers)).text


@pytest.fixture
async def counter(rest: Rest, venue: Venue) -> Counter:
    await add_device(venue.db, OPERATOR, DESK)
    guest_id, reader = await create_guest(venue.db, OPERATOR, first_name="Ann", age_checked=True), Reader()
    reader.shows()
    return Counter(rest, in_browser(await log_in(venue.db, Role.OPERATOR)), guest_id, reader)


async def test_a_card_that_lies_on_the_desk_reader_is_shown_and_issued(counter: Counter) -> None:
    counter.reader.lay(CARD)

    assert f'data-card="{CARD}"' in await counter.shows()
    assert 'data-result="success"' in (await counter.checks_in(CARD)).text
    counter.reader.take_off()
    assert 'data-card=""' in await counter.shows()


@pytest.mark.parametrize("gone", ["power", "removed", "begun anew", "other card", "other reader", "broker"])
async def test_a_card_that_no_longer_lies_on_the_reader_is_neither_shown_nor_issued(
    counter: Counter, venue: Venue, gone: str
) -> None:
    counter.reader.lay(CARD)
    fields = {}
    match gone:
        case "power":
            counter.reader.loses_power()
        case "removed":  # the state alone says so: the card's message was lost
            counter.reader.card_uid = None
            counter.reader.shows()
        case "begun anew":
            counter.reader.begin_anew()
        case "other card":
            counter.reader.lay(OTHER)
        case "other reader":
            fields = {"reader": "bar/readers/elsewhere"}
        case _:
            live()._set_connected(connected=False)
    try:
        page, answer = await counter.shows(), await counter.checks_in(CARD, **fields)
        typed = await counter.checks_in(CARD, typed=CARD, **fields)
    finally:
        live()._set_connected(connected=True)

    assert (f'data-card="{CARD}"' in page) == (gone == "other reader")
    assert 'data-result="card_not_on_reader"' in answer.text
    assert "no longer lies on the reader" in answer.text
    assert await venue.db.pool.fetchval("SELECT details->>'reason' FROM audit WHERE action = 'card_issue_refused'") == (
        "card_not_on_reader"
    )
    assert 'data-result="success"' in typed.text, "its number can be typed all the same"


async def test_the_last_will_of_an_earlier_connection_takes_no_card_away(counter: Counter) -> None:
    counter.reader.connection = 2
    counter.reader.lay(CARD)
    counter.reader.shows(Presence.OFFLINE, connection=1)
    assert f'data-card="{CARD}"' in await counter.shows()

    anew = counter.reader.begin_anew()
    anew.lay(OTHER)
    counter.reader.shows()
    counter.reader.loses_power()

    assert f'data-card="{OTHER}"' in await counter.shows()


async def test_another_card_for_a_visit_is_issued_only_while_it_lies_on_the_reader(counter: Counter, venue: Venue) -> None:
    counter.reader.lay(CARD)
    await counter.checks_in(CARD)
    visit_id = await venue.db.pool.fetchval("SELECT visit_id FROM visits WHERE status = 'active'")
    form = {"card_uid": OTHER, "reader": DESK, "shown": f'{{"noun":"visit","key":"{visit_id}","values":{{"card_uid":"{CARD}"}}}}'}

    absent = await counter.rest.nobody.post(f"/visits/{visit_id}/card", data=form, headers=counter.headers)
    counter.reader.lay(OTHER)
    there = await counter.rest.nobody.post(f"/visits/{visit_id}/card", data={**form, "key": "1"}, headers=counter.headers)
    counter.reader.take_off()
    again = await counter.rest.nobody.post(f"/visits/{visit_id}/card", data={**form, "key": "1"}, headers=counter.headers)

    assert 'data-refused="card_not_on_reader"' in absent.text
    assert "HX-Trigger" in there.headers
    assert "HX-Trigger" in again.headers, "a form that was sent twice has the first answer"
    assert await venue.db.pool.fetchval("SELECT card_uid FROM visits WHERE visit_id = $1", visit_id) == OTHER
