"""The MFRC522 driver against a chip that answers as ISO 14443-3 says."""

from functools import reduce
from operator import xor
from threading import Event

import pytest

from tapwire_node.hardware.mfrc522 import (
    CASCADE_COMMANDS,
    CASCADE_TAG,
    VERSION_REGISTER,
    Mfrc522Reader,
    ReaderBroken,
    read_card,
)

OK, NO_TAG = 0, 1


class EmulatedChip:
    """One card on the antenna, or none. A card that was selected sleeps through the next wake-up."""

    def __init__(self, uid: bytes | None) -> None:
        self.uid = uid
        self.version = 0x92
        self.selected = False
        self.noisy = False
        self.closed = False

    def levels(self) -> list[bytes]:
        assert self.uid is not None
        rest, levels = self.uid, []
        while len(rest) > 4:
            levels.append(bytes([CASCADE_TAG]) + rest[:3])
            rest = rest[3:]
        return [*levels, rest]

    def MFRC522_Request(self, reqMode: int) -> tuple[int, int | None]:  # noqa: N802, N803
        if self.uid is None or self.selected:
            self.selected = False
            return NO_TAG, None
        return OK, 16

    def MFRC522_ToCard(self, command: int, sendData: list[int]) -> tuple[int, list[int], int | None]:  # noqa: N802, N803
        level = self.levels()[CASCADE_COMMANDS.index(sendData[0])]
        answer = [*level, reduce(xor, level)]
        if self.noisy:
            answer[1] ^= 0x10
        if sendData[1] == 0x20:
            return OK, answer, 40
        assert sendData[2:7] == answer
        assert sendData[7:] == self.CalulateCRC(sendData[:7])
        self.selected = sendData[0] == CASCADE_COMMANDS[len(self.levels()) - 1]
        return OK, [0x08], 24

    def CalulateCRC(self, pIndata: list[int]) -> list[int]:  # noqa: N802, N803
        return [sum(pIndata) & 0xFF, 0x5A]

    def Write_MFRC522(self, addr: int, val: int) -> None:  # noqa: N802
        pass

    def Read_MFRC522(self, addr: int) -> int:  # noqa: N802
        assert addr == VERSION_REGISTER
        return self.version

    def Close_MFRC522(self) -> None:  # noqa: N802
        self.closed = True


@pytest.mark.parametrize("uid", ["00a1b2c3", "04a1b2c3d4e5f6", "04112233445566778899"])
def test_cards_of_every_length_are_read_whole_with_leading_zeros_and_without_checksums(uid: str) -> None:
    assert read_card(EmulatedChip(bytes.fromhex(uid))) == uid


def test_a_card_that_stays_is_seen_at_every_look() -> None:
    chip = EmulatedChip(bytes.fromhex("04a1b2c3d4e5f6"))
    assert [read_card(chip) for _ in range(5)] == ["04a1b2c3d4e5f6"] * 5


def test_two_seven_byte_cards_that_begin_alike_stay_two() -> None:
    first, second = EmulatedChip(bytes.fromhex("04a1b2c3d4e5f6")), EmulatedChip(bytes.fromhex("04a1b2aaaaaaaa"))
    assert read_card(first) != read_card(second)


def test_an_empty_antenna_and_a_disturbed_answer_are_no_card() -> None:
    assert read_card(EmulatedChip(None)) is None
    noisy = EmulatedChip(bytes.fromhex("04a1b2c3"))
    noisy.noisy = True
    assert read_card(noisy) is None


@pytest.mark.parametrize("version", [0x00, 0xFF])
def test_a_chip_that_does_not_answer_is_broken_not_empty(version: int) -> None:
    chip = EmulatedChip(None)
    chip.version = version
    with pytest.raises(ReaderBroken, match="wiring"):
        read_card(chip)


class Ear:
    """Hears what a reader tells, in order."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.news = Event()

    def card_seen(self, card_uid: str) -> None:
        self._hear(card_uid)

    def card_lifted(self) -> None:
        self._hear("lifted")

    def reader_failed(self, text: str) -> None:
        self._hear("failed")

    def reader_recovered(self) -> None:
        self._hear("works")

    def _hear(self, word: str) -> None:
        self.heard.append(word)
        self.news.set()

    def wait_for(self, word: str) -> None:
        while word not in self.heard:
            self.news.clear()
            assert word in self.heard or self.news.wait(5), self.heard


def test_the_reader_tells_changes_and_what_it_sees_first() -> None:
    chip, ear = EmulatedChip(None), Ear()
    reader = Mfrc522Reader(lambda: chip, poll_ms=10, retry_ms=10)
    reader.start(ear)
    ear.wait_for("lifted")
    chip.uid = bytes.fromhex("04a1b2c3")
    ear.wait_for("04a1b2c3")
    chip.uid = bytes.fromhex("04ffffff")
    ear.wait_for("04ffffff")
    reader.end()

    assert ear.heard == ["works", "lifted", "04a1b2c3", "04ffffff"]
    assert chip.closed


def test_a_reader_that_breaks_is_told_and_tried_again() -> None:
    chip, ear = EmulatedChip(bytes.fromhex("04a1b2c3")), Ear()
    reader = Mfrc522Reader(lambda: chip, poll_ms=10, retry_ms=10)
    reader.start(ear)
    ear.wait_for("04a1b2c3")
    chip.version = 0xFF
    ear.wait_for("failed")
    ear.heard.clear()
    chip.version = 0x92
    ear.wait_for("04a1b2c3")
    reader.end()
    assert ear.heard[-2:] == ["works", "04a1b2c3"]
