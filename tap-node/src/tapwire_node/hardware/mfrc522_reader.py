"""The MFRC522 on SPI, through the library `mfrc522`: its access to the chip is used, its reading of card ids is not.

The library's `read_id_no_block` includes the checksum byte in the id, drops leading zeros, and returns a 7-byte id as 0x88 and
three of its bytes, so that two cards may get the same id. So anticollision and selection are done here with its `MFRC522_ToCard`,
up the cascade levels of ISO 14443-3: one level for 4-byte ids, two for 7, three for 10. An id counts only when every checksum is
right and the card says that it is complete. Two cards at once collide and give no id. A selected card answers only every other
wake-up, so one look tries twice.

Three defects of the library are worked around. It waits for a card by reading a register 2,000 times, as it overlooks the chip's
timer: `watch_timer` shows it the timer and sleeps between reads. Its `Close_MFRC522` releases every pin of the process, including
the flow meter's: only the bus is closed. It adds a log handler at each opening.

The library imports RPi.GPIO and spidev, which exist on a Pi only, so it is imported when the reader is opened.
"""

import logging
import time
from collections.abc import Callable
from functools import reduce
from operator import xor
from typing import Final, Protocol

from tapwire_node.hardware.polled_reader import ReaderBroken, uid_or_none
from tapwire_node.hardware.settings import Mfrc522Wiring

WAKE_UP: Final = 0x52
CASCADE_COMMANDS: Final = (0x93, 0x95, 0x97)
ANTICOLLISION: Final = 0x20
SELECT: Final = 0x70
CASCADE_TAG: Final = 0x88
"""First byte of a level that is not the last one."""
UID_INCOMPLETE: Final = 0x04
"""The bit that a selected card sets when there is another level."""
TRANSCEIVE: Final = 0x0C
IRQ_REGISTER: Final = 0x04
TIMER_IRQ, IDLE_IRQ, RECEIVED_IRQ = 0x01, 0x10, 0x20
BIT_FRAMING_REGISTER: Final = 0x0D
ANTENNA_REGISTER: Final = 0x14
ANTENNA_ON: Final = 0x03
VERSION_REGISTER: Final = 0x37
DEAD_CHIP: Final = (0x00, 0xFF)
"""Values of the version register when no chip answers on the bus."""
OK: Final = 0
SELECTED_BITS: Final = 24
TRIES: Final = 2
BCM_NUMBERS: Final = 11
RESET_S: Final = 0.001
START_S: Final = 0.05
"""Duration of the reset (`RESET_S`) and of the oscillator's start after it."""
IRQ_LOOK_S: Final = 0.000_5
MAX_IRQ_LOOKS: Final = 100
"""The chip's timer ends each wait after 15 ms; a chip that has not done so after this many looks is broken."""


class Bus(Protocol):
    """The part of `spidev.SpiDev` that is used."""

    def close(self) -> None:
        """Close the device file."""


class Chip(Protocol):
    """The part of the library's `MFRC522` class that is used; the names are its own."""

    spi: Bus
    Read_MFRC522: Callable[[int], int]
    """Read a register."""

    def MFRC522_Init(self) -> None:  # noqa: N802
        """Reset and set up all registers, and switch the antenna on."""

    def MFRC522_Request(self, reqMode: int) -> tuple[int, int | None]:  # noqa: N802, N803
        """Call for cards; returns the status and the number of received bits."""

    def MFRC522_ToCard(self, command: int, sendData: list[int]) -> tuple[int, list[int], int | None]:  # noqa: N802, N803
        """Send to the card; returns the status, the answer, and its number of bits."""

    def CalulateCRC(self, pIndata: list[int]) -> list[int]:  # noqa: N802, N803
        """The two checksum bytes."""

    def Write_MFRC522(self, addr: int, val: int) -> None:  # noqa: N802
        """Write a register."""


class Mfrc522:
    """The chip on the bus that the settings name, after a reset; opening it raises what the library raises off a Pi."""

    def __init__(self, settings: Mfrc522Wiring) -> None:
        self._chip = open_chip(settings)

    def look(self) -> str | None:
        """The id of the card on the antenna; raises `ReaderBroken`."""
        return read_card(self._chip)

    def close(self) -> None:
        """Close the bus, and nothing else."""
        self._chip.spi.close()


def open_chip(settings: Mfrc522Wiring) -> Chip:
    """Reset the chip, in case it hangs, and let the library set it up."""
    from mfrc522 import MFRC522
    from RPi import GPIO

    GPIO.setwarnings(False)  # the pin is ours already, after the first time
    if GPIO.getmode() is None:
        GPIO.setmode(GPIO.BCM)
    GPIO.setup(settings.reader_reset_pin, GPIO.OUT)
    GPIO.output(settings.reader_reset_pin, 0)
    time.sleep(RESET_S)
    chip: Chip = MFRC522(
        bus=settings.reader_spi_bus,
        device=settings.reader_spi_device,
        pin_mode=BCM_NUMBERS,
        pin_rst=settings.reader_reset_pin,
    )
    logging.getLogger("mfrc522Logger").handlers.clear()
    time.sleep(START_S)
    chip.MFRC522_Init()  # what the library wrote before the oscillator ran may be lost
    chip.Read_MFRC522 = watch_timer(chip.Read_MFRC522)
    return chip


def watch_timer(read: Callable[[int], int]) -> Callable[[int], int]:
    """Wrap the library's register read, so that the chip's timer ends its wait, without spinning; may raise `ReaderBroken`."""
    looks = 0

    def read_register(addr: int) -> int:
        nonlocal looks
        value = read(addr)
        if addr != IRQ_REGISTER:
            looks = 0
            return value
        if value & TIMER_IRQ:
            return value | IDLE_IRQ
        if not value & (IDLE_IRQ | RECEIVED_IRQ):
            looks += 1
            if looks > MAX_IRQ_LOOKS:
                raise ReaderBroken("the MFRC522 does not finish a read: check its power")
            time.sleep(IRQ_LOOK_S)
        return value

    return read_register


def read_card(chip: Chip) -> str | None:
    """The id of the card on the antenna, None when there is none or it could not be read; raises `ReaderBroken`."""
    if chip.Read_MFRC522(VERSION_REGISTER) in DEAD_CHIP:
        raise ReaderBroken("no MFRC522 answers: check its wiring, and that SPI is enabled")
    if chip.Read_MFRC522(ANTENNA_REGISTER) & ANTENNA_ON != ANTENNA_ON:
        raise ReaderBroken("the MFRC522 has lost its settings: check its power")
    for _ in range(TRIES):
        status, _bits = chip.MFRC522_Request(WAKE_UP)
        if status == OK:
            uid = read_uid(chip)
            if uid is not None:
                return uid
    return None


def read_uid(chip: Chip) -> str | None:
    """Read the id of an awake card, level by level."""
    uid: list[int] = []
    for command in CASCADE_COMMANDS:
        part = read_level(chip, command)
        if part is None:
            return None
        if part[0] != CASCADE_TAG:
            return uid_or_none(bytes([*uid, *part]))
        uid += part[1:]
    return None


def read_level(chip: Chip, command: int) -> list[int] | None:
    """Read the four bytes of one level and select the card there; None when a checksum or flag is wrong."""
    chip.Write_MFRC522(BIT_FRAMING_REGISTER, 0)
    status, answer, _ = chip.MFRC522_ToCard(TRANSCEIVE, [command, ANTICOLLISION])
    if status != OK or len(answer) != 5 or reduce(xor, answer) != 0:
        return None
    select = [command, SELECT, *answer]
    status, acknowledge, bits = chip.MFRC522_ToCard(TRANSCEIVE, [*select, *chip.CalulateCRC(select)])
    if status != OK or bits != SELECTED_BITS or chip.CalulateCRC(acknowledge[:1]) != acknowledge[1:]:
        return None
    has_more = bool(acknowledge[0] & UID_INCOMPLETE)
    return answer[:4] if has_more == (answer[0] == CASCADE_TAG) else None
