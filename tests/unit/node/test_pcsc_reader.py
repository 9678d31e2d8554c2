"""Desk readers through PC/SC, on a `smartcard` package of the tests' own."""

from collections.abc import Iterator

import pytest

from tapwire_node.hardware.drivers import pcsc_reader
from tapwire_node.hardware.pcsc_reader import PcscReader
from tapwire_node.hardware.polled_reader import ReaderBroken
from tapwire_node.hardware.settings import PcscHardware
from tests.unit.node.fake_smartcard import SCARD_LEAVE_CARD, Plugged, on_the_desk
from tests.unit.node.recording_listener import RecordingListener

ACR, OTHER = "ACS ACR122U PICC Interface 00 00", "Generic Smart Card Reader 01 00"
UID = [0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6]
SETTINGS = PcscHardware(reader_poll_ms=10, reader_retry_ms=10)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugged]:
    yield from on_the_desk(monkeypatch)


def test_the_cards_id_is_read_and_the_card_stays_powered(desk: Plugged) -> None:
    desk.readers = {ACR: UID}
    reader = PcscReader(SETTINGS)
    assert [reader.look(), reader.look()] == ["04a1b2c3d4e5f6"] * 2
    assert set(desk.dispositions) == {SCARD_LEAVE_CARD}, "a card that is powered down is found anew, with a beep, at each look"


def test_an_empty_reader_and_a_card_that_has_no_id_are_no_card(desk: Plugged) -> None:
    desk.readers = {ACR: None}
    reader = PcscReader(SETTINGS)
    assert reader.look() is None
    desk.readers = {ACR: UID}
    desk.status = (0x6A, 0x81)
    assert reader.look() is None
    desk.readers, desk.status = {ACR: UID[:5]}, (0x90, 0x00)
    assert reader.look() is None


def test_a_card_removed_during_its_read_is_no_card(desk: Plugged) -> None:
    desk.readers, desk.leaves_card = {ACR: UID}, True
    assert PcscReader(SETTINGS).look() is None


def test_the_reader_is_chosen_by_a_part_of_its_name(desk: Plugged) -> None:
    desk.readers = {OTHER: None, ACR: UID}
    assert PcscReader(PcscHardware(reader_name="ACR122")).look() == "04a1b2c3d4e5f6"
    with pytest.raises(ReaderBroken, match=f"no PC/SC reader named Omnikey is plugged in; there are {OTHER}, {ACR}"):
        PcscReader(PcscHardware(reader_name="Omnikey"))


def test_a_missing_reader_or_service_is_named_in_the_error(desk: Plugged) -> None:
    with pytest.raises(ReaderBroken, match="no PC/SC reader is plugged in"):
        PcscReader(SETTINGS)
    desk.service_runs = False
    with pytest.raises(ReaderBroken, match="check that pcscd is running"):
        PcscReader(SETTINGS)


def test_an_unplugged_reader_is_reported_and_found_again_with_its_card(desk: Plugged) -> None:
    listener, reader = RecordingListener(), pcsc_reader(SETTINGS)
    desk.readers = {ACR: UID}
    reader.start(listener)
    listener.wait_for("04a1b2c3d4e5f6")
    desk.readers = {}
    listener.wait_for("failed")
    desk.readers = {ACR: None}
    listener.wait_for("lifted")
    desk.readers = {ACR: UID}
    listener.wait_for("04a1b2c3d4e5f6", 2)
    reader.end()
    assert listener.heard == ["works", "04a1b2c3d4e5f6", "failed", "works", "lifted", "04a1b2c3d4e5f6"]
