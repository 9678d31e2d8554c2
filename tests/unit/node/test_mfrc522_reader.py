"""Reading cards with the real `mfrc522` library on an emulated chip."""

import logging
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from tapwire_node.hardware.drivers import mfrc522_reader
from tapwire_node.hardware.mfrc522_reader import Mfrc522
from tapwire_node.hardware.polled_reader import ReaderBroken
from tapwire_node.hardware.settings import GpioHardware
from tests.unit.node.emulated_mfrc522 import EmulatedCard, EmulatedChip, plugged_in
from tests.unit.node.recording_listener import RecordingListener

SETTINGS = GpioHardware(valve_pin=17, meter_pin=27, reader_poll_ms=10, reader_retry_ms=10, reader_hang_ms=10_000)
FOUR, SEVEN, TEN = "00a1b2c3", "04a1b2c3d4e5f6", "04112233445566778899"


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedChip]:
    yield from plugged_in(monkeypatch)


def card(uid: str, **flaws: Any) -> EmulatedCard:
    return EmulatedCard(bytes.fromhex(uid), **flaws)


# ── ids ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("uid", [FOUR, SEVEN, TEN])
def test_cards_of_every_length_are_read_whole_with_leading_zeros_and_without_checksums(chip: EmulatedChip, uid: str) -> None:
    reader = Mfrc522(SETTINGS)
    chip.cards = [card(uid)]
    assert reader.look() == uid


def test_a_card_that_stays_is_seen_at_every_look(chip: EmulatedChip) -> None:
    reader = Mfrc522(SETTINGS)
    chip.cards = [card(SEVEN)]
    assert [reader.look() for _ in range(6)] == [SEVEN] * 6


def test_two_seven_byte_cards_that_begin_alike_stay_two(chip: EmulatedChip) -> None:
    reader, seen = Mfrc522(SETTINGS), set()
    for uid in ("04a1b2c3d4e5f6", "04a1b2aaaaaaaa"):
        chip.cards = [card(uid)]
        seen.add(reader.look())
    assert seen == {"04a1b2c3d4e5f6", "04a1b2aaaaaaaa"}


def test_an_empty_antenna_is_no_card_and_costs_few_looks_at_the_chip(chip: EmulatedChip) -> None:
    reader = Mfrc522(SETTINGS)
    chip.reads = 0
    assert reader.look() is None
    assert chip.reads < 60, "the library alone would read its flags 4,000 times"


uids = st.binary(min_size=4, max_size=4).filter(lambda uid: uid[0] != 0x88) | st.binary(min_size=7, max_size=7).filter(
    lambda uid: uid[3] != 0x88
)


@given(uids=st.lists(uids, min_size=1, max_size=3, unique=True), leaves_after=st.none() | st.integers(0, 8))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_read_is_always_the_whole_id_of_one_card_that_is_there(
    chip: EmulatedChip, uids: list[bytes], leaves_after: int | None
) -> None:
    reader = Mfrc522(SETTINGS)
    chip.cards = [EmulatedCard(uids[0], frames_left=leaves_after), *map(EmulatedCard, uids[1:])]
    for _ in range(3):
        assert reader.look() in {None, *(uid.hex() for uid in uids)}


def test_two_cards_at_once_are_none_and_the_one_that_stays_is_read(chip: EmulatedChip) -> None:
    reader = Mfrc522(SETTINGS)
    chip.cards = [card("04a1b2c3d4e5f6"), card("04a1b2aaaaaaaa")]
    assert [reader.look() for _ in range(3)] == [None] * 3
    chip.cards.pop()
    assert "04a1b2c3d4e5f6" in (reader.look(), reader.look())


@pytest.mark.parametrize("frames", range(1, 5))
def test_a_card_removed_during_its_read_is_no_card_even_if_a_similar_one_comes_at_that_moment(
    chip: EmulatedChip, frames: int
) -> None:
    reader = Mfrc522(SETTINGS)
    chip.cards = [card("04a1b2c3d4e5f6", frames_left=frames)]
    assert reader.look() is None
    chip.cards = [card("04a1b2aaaaaaaa")]
    assert reader.look() == "04a1b2aaaaaaaa"


@pytest.mark.parametrize("flaw", ["wrong_bcc", "wrong_sak_crc", "denies_cascade"])
def test_an_inconsistent_answer_is_no_card(chip: EmulatedChip, flaw: str) -> None:
    reader = Mfrc522(SETTINGS)
    chip.cards = [card(SEVEN, **{flaw: True})]
    assert reader.look() is None


# ── the chip ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bus", [0x00, 0xFF])
def test_a_chip_that_does_not_answer_is_broken_not_empty(chip: EmulatedChip, bus: int) -> None:
    reader = Mfrc522(SETTINGS)
    chip.bus = bus
    with pytest.raises(ReaderBroken, match="wiring"):
        reader.look()


def test_a_chip_that_lost_its_settings_would_never_see_a_card_again_and_is_broken(chip: EmulatedChip) -> None:
    reader = Mfrc522(SETTINGS)
    chip.lose_power()
    with pytest.raises(ReaderBroken, match="lost its settings"):
        reader.look()


def test_a_chip_that_never_finishes_is_broken(chip: EmulatedChip) -> None:
    reader = Mfrc522(SETTINGS)
    chip.timer_dead = True
    with pytest.raises(ReaderBroken, match="does not finish a read"):
        reader.look()


def test_opening_resets_a_hung_chip(chip: EmulatedChip) -> None:
    chip.needs_reset = True
    chip.cards = [card(FOUR)]
    assert Mfrc522(SETTINGS).look() == FOUR


def test_closing_releases_the_bus_and_no_other_pin_and_leaves_no_log_handler(chip: EmulatedChip) -> None:
    for _ in range(3):
        Mfrc522(SETTINGS).close()
    assert (chip.opened, chip.closed, chip.let_go) == (3, 3, 0)
    assert logging.getLogger("mfrc522Logger").handlers == []


# ── the reader ──────────────────────────────────────────────────────────────


@pytest.fixture
def listener(chip: EmulatedChip) -> Iterator[RecordingListener]:
    listener, reader = RecordingListener(), mfrc522_reader(SETTINGS)
    reader.start(listener)
    listener.wait_for("lifted")
    yield listener
    reader.end()


def test_the_reader_reports_its_first_reading_and_every_change(chip: EmulatedChip, listener: RecordingListener) -> None:
    for uid in (FOUR, SEVEN):
        chip.cards = [card(uid)]
        listener.wait_for(uid)
    chip.cards = []
    listener.wait_for("lifted", 2)
    assert listener.heard == ["works", "lifted", FOUR, SEVEN, "lifted"]


@pytest.mark.parametrize("fault", ["bus dead", "power", "unplugged", "hung"])
def test_a_broken_reader_is_reported_and_recovers_with_its_card(
    chip: EmulatedChip, listener: RecordingListener, fault: str
) -> None:
    chip.cards = [card(SEVEN)]
    listener.wait_for(SEVEN)
    match fault:
        case "bus dead":
            chip.bus = 0xFF
        case "power":
            chip.lose_power()
        case "unplugged":
            chip.is_there = False
        case "hung":
            chip.needs_reset = True
    listener.wait_for("failed")
    chip.bus, chip.is_there = None, True
    listener.wait_for(SEVEN, 2)
    assert listener.heard[-2:] == ["works", SEVEN]


def test_a_hanging_call_is_reported_and_abandoned_and_its_late_result_is_ignored(chip: EmulatedChip) -> None:
    listener, reader = RecordingListener(), mfrc522_reader(structs.replace(SETTINGS, reader_hang_ms=400))
    chip.cards = [card(SEVEN)]
    reader.start(listener)
    listener.wait_for(SEVEN)
    blocked = chip.blocks = Event()
    listener.wait_for("failed")
    chip.cards, chip.blocks = [card(FOUR)], None
    listener.wait_for(FOUR)
    blocked.set()
    listener.never(SEVEN, again=1)
    reader.end()


def test_shutdown_does_not_wait_for_a_hanging_call(chip: EmulatedChip) -> None:
    listener, reader = RecordingListener(), mfrc522_reader(SETTINGS)
    reader.start(listener)
    listener.wait_for("lifted")
    blocked = chip.blocks = Event()
    reader.end()
    blocked.set()
