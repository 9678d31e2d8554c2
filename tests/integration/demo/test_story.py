"""The demo's story: each thing is told once, however often it is said, and nothing that comes over the broker stops it."""

import asyncio
from typing import Final
from uuid import UUID

import msgspec
from rich.console import Console

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.codec import encode
from tapwire_contracts.messages import CardPresented, Display, Message, PourAuthorized, PourDenied, PourProgress, PourSettled
from tapwire_contracts.reasons import DenyReason, Outcome, VerdictReason, VerdictStatus
from tapwire_contracts.topics import tap_path
from tapwire_core.db.engine import Database
from tapwire_core.domain.serving_limits import VolumeLimit
from tapwire_core.services import venues
from tapwire_demo.bar import VENUE_ID
from tapwire_demo.broker import Account, EmbeddedBroker
from tapwire_demo.broker_listener import listen
from tapwire_demo.screen import Screen, taps_table
from tapwire_demo.staff import rearm
from tapwire_demo.story import Line, Mood, Story, TapNow
from tests.mqtt_tap import connect_tap
from tests.venue import OPERATOR, Venue

COMES_WITHIN_S: Final = 10

LEFT: Final = tap_path("bar", "left")
ANN: Final = "04a1b2c3"
QUESTION_ID: Final = UUID(int=1)
POUR_ID: Final = UUID(int=2)

QUESTION: Final = CardPresented(
    event_id=QUESTION_ID,
    card_uid=ANN,
    reader_id="tap",
    read_at="2026-05-01T20:00:00Z",
    boot_id=UUID(int=3),
    journal_id=UUID(int=4),
    seq=1,
    unsettled=(),
)
GRANT: Final = PourAuthorized(
    request_id=QUESTION_ID,
    pour_id=POUR_ID,
    card_uid=ANN,
    max_volume_ml=500,
    max_duration_ms=60_000,
    idle_timeout_ms=15_000,
    display=Display(message="Enjoy!", sell_price_per_liter_minor=5_00, balance_minor=10_00),
)
DENIAL: Final = PourDenied(
    request_id=QUESTION_ID, reason=DenyReason.INSUFFICIENT_FUNDS, message="no money", display=Display(message="no money")
)
VERDICT: Final = PourSettled(
    pour_id=POUR_ID,
    status=VerdictStatus.ACCEPTED,
    outcome=Outcome.PENDING_UPDATED_TO_SYNCED,
    reason=None,
    volume_ml=250,
    amount_minor=1_25,
    balance_minor=8_75,
    currency="EUR",
)


def test_a_pour_that_everybody_repeats_is_told_once() -> None:
    story = new_story()

    told = [
        *hear(story, "card", QUESTION, QUESTION),
        *hear(story, "command", GRANT, GRANT),
        *hear(story, "pour/progress", progress(120), progress(130), progress(250)),
        *hear(story, "command", VERDICT, VERDICT),
    ]

    assert [line.text for line in told] == [
        "Ann's card is laid on",
        "granted: up to 500 ml (hold 2.50 of 10.00)",
        "… 120 ml",
        "… 250 ml",
        "settled 250 ml, 1.25 EUR, Ann's balance 8.75",
    ]
    assert (story.tally.grants, story.tally.settled, story.tally.amount_minor) == (1, 1, 1_25)


def test_a_refused_card_is_told_to_the_staff_in_both_languages_once() -> None:
    story = new_story()
    hear(story, "card", QUESTION)

    told = hear(story, "command", DENIAL, DENIAL)

    assert [line.text for line in told] == [
        "DENIED  Ann's card: insufficient_funds",
        "to the staff: Insufficient funds: top up guest balance before pouring.",
        "to the staff: Недостаточно средств: пополните баланс гостя перед наливом.",
    ]
    assert {line.mood for line in told} == {Mood.BAD}
    assert story.tally.denials == {DenyReason.INSUFFICIENT_FUNDS: 1}


async def test_staff_look_at_a_guest_who_was_refused_at_the_limit_and_rearm_the_visit(db: Database) -> None:
    bar = await Venue.open(db, VENUE_ID)
    await venues.change_venue(db, OPERATOR, VENUE_ID, serving_limit=VolumeLimit(limit_ml=500))
    ann, bob = await bar.guest(1_000_00, "04a1b2c3"), await bar.guest(1_000_00)
    await bar.report(await bar.grant(ann), 500)
    story = new_story()
    hear(story, "card", QUESTION)

    told = hear(story, "command", msgspec.structs.replace(DENIAL, reason=DenyReason.SERVING_LIMIT_REACHED))
    done = await rearm(db, [*story.at_limit, bob.card_uid])

    assert [line.text for line in told] == ["DENIED  Ann's card: serving_limit_reached"]
    assert done == ["staff look at Ann, and re-arm the visit"]
    assert (await bar.grant(ann)).max_volume_ml == 500


def test_a_report_that_charges_nobody_is_told_with_its_outcome_and_counts_as_no_sale() -> None:
    story = new_story()
    refused = PourSettled(
        pour_id=POUR_ID,
        status=VerdictStatus.REJECTED,
        outcome=Outcome.REJECTED_INSUFFICIENT_FUNDS,
        reason=VerdictReason.INSUFFICIENT_FUNDS,
        volume_ml=900,
        amount_minor=0,
        balance_minor=8_75,
        currency="EUR",
    )

    assert hear(story, "command", refused) == [Line("left", "rejected: rejected_insufficient_funds, 900 ml", Mood.BAD)]
    assert story.tally.settled == 0


def test_what_can_not_be_read_is_told_and_the_story_goes_on() -> None:
    story = new_story()

    told = [*story.hear(LEFT.topic("card"), b"no json"), *story.hear("tapwire/v1/elsewhere", b"{}")]

    assert [line.mood for line in told] == [Mood.BAD, Mood.BAD]
    assert story.hear(LEFT.topic("config"), b"") == []
    assert hear(story, "card", QUESTION) != []


BAD_PAYLOADS: Final = (
    b"\xff\xfe",
    b"[]",
    b"null",
    b"{}",
    b'{"type":[]}',
    b'{"type":{}}',
    b'{"type":"pour_settled"}',
    b'{"type":"pour_settled","pour_id":[],"volume_ml":1e400}',
    b"[" * 9_000,
)


def test_whatever_comes_on_any_topic_is_at_most_a_line() -> None:
    story = new_story()
    topics = [LEFT.topic(leaf) for leaf in ("state", "card", "pour/progress", "pour/completed", "flow", "command", "config", "x")]

    for topic in (*topics, "tapwire/v1/core/x/state", "tapwire/v1/core/x", "tapwire/v1/core/", "tapwire/v1", "tapwire/v1/a/b/c/d"):
        for payload in BAD_PAYLOADS:
            assert len(story.hear(topic, payload)) <= 1


async def test_the_demo_goes_on_hearing_after_a_message_that_it_fails_on(mosquitto: EmbeddedBroker) -> None:
    await mosquitto.add_account(Account(str(LEFT), "secret", BrokerRole.DEVICE))
    story, heard = new_story(), asyncio.Queue[bytes]()

    def tell(topic: str, payload: bytes) -> None:
        heard.put_nowait(payload)
        Screen().tell(story.hear(topic, payload))
        if payload == b"null":
            raise LookupError("as a screen may fail")

    listening = asyncio.create_task(listen(mosquitto, mosquitto.account("watcher"), tell))
    try:
        async with connect_tap(mosquitto, str(LEFT)) as tap, asyncio.timeout(COMES_WITHIN_S):
            await tap.send("state", b"{}", retain=True)
            await heard.get()
            for payload in BAD_PAYLOADS:
                await tap.send("card", payload)
            await tap.send("card", QUESTION)
            while await heard.get() != encode(QUESTION):
                assert not listening.done()
    finally:
        listening.cancel()


def test_what_a_tap_sells_is_shown_as_it_is_called() -> None:
    taps = [TapNow("[/name]", beverage="[/beer] [red]", guest="[/]")]

    console = Console(width=120)
    with console.capture() as shown:
        console.print(taps_table(taps))

    assert "[/beer] [red]" in shown.get()


def new_story() -> Story:
    return Story({ANN: "Ann"}, {LEFT: "Left"})


def hear(story: Story, leaf: str, *messages: Message) -> list[Line]:
    return [line for message in messages for line in story.hear(LEFT.topic(leaf), encode(message))]


def progress(volume_ml: int) -> PourProgress:
    return PourProgress(pour_id=POUR_ID, volume_ml=volume_ml, elapsed_ms=volume_ml * 10)
