"""The MFRC522 on SPI, through the library of that name: its registers and its antenna, not its idea of a card id.

`read_id_no_block` of that library takes the checksum byte into the id, loses leading zeros, and gives a 7-byte card as 0x88 and
three of its bytes, so that two cards may become one. So anticollision and selection are driven here through its `MFRC522_ToCard`,
up the cascade levels of ISO 14443-3: one level for 4-byte ids, two for 7, three for 10. A card that has been selected answers only
every other wake-up, which is why one look tries twice.

The library imports RPi.GPIO and spidev, which exist on a Pi only: it is imported when the reader is made.
"""

from collections.abc import Callable
from functools import reduce
from operator import xor
from threading import Event, Thread
from typing import Final, Protocol

from tapwire_contracts.card_uid import InvalidCardUid, normalize_card_uid
from tapwire_node.clock import monotonic_ms
from tapwire_node.hardware.reader import ReaderListener
from tapwire_node.hardware.settings import GpioHardware

WAKE_UP: Final = 0x52
CASCADE_COMMANDS: Final = (0x93, 0x95, 0x97)
ANTICOLLISION: Final = 0x20
SELECT: Final = 0x70
CASCADE_TAG: Final = 0x88
"""First byte of a level that is not the last one."""
TRANSCEIVE: Final = 0x0C
BIT_FRAMING_REGISTER: Final = 0x0D
VERSION_REGISTER: Final = 0x37
DEAD_CHIP: Final = (0x00, 0xFF)
"""What the version register reads as when no chip answers on the bus."""
OK: Final = 0
SELECTED_BITS: Final = 24
TRIES: Final = 2
BCM_NUMBERS: Final = 11
MS_PER_S: Final = 1_000


class ReaderBroken(Exception):
    """No MFRC522 answers on the bus."""


class Chip(Protocol):
    """The part of the library's `MFRC522` class that is used; the names are its own."""

    def MFRC522_Request(self, reqMode: int) -> tuple[int, int | None]:  # noqa: N802, N803
        """Call for cards; status and the number of bits that came back."""

    def MFRC522_ToCard(self, command: int, sendData: list[int]) -> tuple[int, list[int], int | None]:  # noqa: N802, N803
        """Send to the card; status, what came back, and its number of bits."""

    def CalulateCRC(self, pIndata: list[int]) -> list[int]:  # noqa: N802, N803
        """The two checksum bytes."""

    def Write_MFRC522(self, addr: int, val: int) -> None:  # noqa: N802
        """Write a register."""

    def Read_MFRC522(self, addr: int) -> int:  # noqa: N802
        """Read a register."""

    def Close_MFRC522(self) -> None:  # noqa: N802
        """Let go of the bus."""


def open_chip(settings: GpioHardware) -> Chip:
    """The chip on the settings' bus; raises what the library raises off a Pi."""
    from mfrc522 import MFRC522

    chip: Chip = MFRC522(
        bus=settings.reader_spi_bus,
        device=settings.reader_spi_device,
        pin_mode=BCM_NUMBERS,
        pin_rst=settings.reader_reset_pin,
    )
    return chip


def read_card(chip: Chip) -> str | None:
    """The id of the card on the antenna, None when there is none or it could not be read; raises `ReaderBroken`."""
    if chip.Read_MFRC522(VERSION_REGISTER) in DEAD_CHIP:
        raise ReaderBroken("no MFRC522 answers: check wiring and SPI")
    for _ in range(TRIES):
        status, _bits = chip.MFRC522_Request(WAKE_UP)
        if status == OK:
            uid = read_uid(chip)
            if uid is not None:
                return uid
    return None


def read_uid(chip: Chip) -> str | None:
    """Climb the cascade levels of a card that is awake."""
    uid: list[int] = []
    for command in CASCADE_COMMANDS:
        part = read_level(chip, command)
        if part is None:
            return None
        if part[0] != CASCADE_TAG:
            return _normalized(bytes([*uid, *part]))
        uid += part[1:]
    return None


def read_level(chip: Chip, command: int) -> list[int] | None:
    """The four bytes of one level, with the card selected there; None when they don't agree with their checksum."""
    chip.Write_MFRC522(BIT_FRAMING_REGISTER, 0)
    status, answer, _ = chip.MFRC522_ToCard(TRANSCEIVE, [command, ANTICOLLISION])
    if status != OK or len(answer) != 5 or reduce(xor, answer) != 0:
        return None
    select = [command, SELECT, *answer]
    status, _acknowledge, bits = chip.MFRC522_ToCard(TRANSCEIVE, [*select, *chip.CalulateCRC(select)])
    return answer[:4] if status == OK and bits == SELECTED_BITS else None


def _normalized(uid: bytes) -> str | None:
    try:
        return normalize_card_uid(uid)
    except InvalidCardUid:
        return None


class Mfrc522Reader:
    """Looks for a card each `poll_ms` on a thread of its own; opens the chip anew each `retry_ms` while it fails."""

    def __init__(self, open_chip: Callable[[], Chip], poll_ms: int, retry_ms: int) -> None:
        self._open_chip = open_chip
        self._poll_ms = poll_ms
        self._retry_ms = retry_ms
        self._ended = Event()
        self._looked_ms = monotonic_ms()
        self._thread: Thread | None = None

    @property
    def looked_ms(self) -> int:
        """When it last looked for a card, monotonic."""
        return self._looked_ms

    def start(self, listener: ReaderListener) -> None:
        """Begin to look."""
        self._thread = Thread(target=self._look, args=(listener,), name="mfrc522", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self, listener: ReaderListener) -> None:
        while not self._ended.is_set():
            try:
                chip = self._open_chip()
            except (OSError, RuntimeError, ImportError) as error:
                self._fail(listener, error)
                continue
            try:
                self._look_through(chip, listener)
            except (ReaderBroken, OSError) as error:
                self._fail(listener, error)
            finally:
                chip.Close_MFRC522()

    def _look_through(self, chip: Chip, listener: ReaderListener) -> None:
        """Tell the first look's result and then every change; raises `ReaderBroken` and what the bus raises."""
        told: str | None = None
        is_first = True
        while not self._ended.wait(self._poll_ms / MS_PER_S):
            seen = read_card(chip)
            self._looked_ms = monotonic_ms()
            if is_first:
                listener.reader_recovered()
            if seen is not None and (is_first or seen != told):
                listener.card_seen(seen)
            if seen is None and (is_first or told is not None):
                listener.card_lifted()
            told, is_first = seen, False

    def _fail(self, listener: ReaderListener, error: Exception) -> None:
        """Tell it, and wait a moment before the next try."""
        self._looked_ms = monotonic_ms()
        listener.reader_failed(str(error))
        self._ended.wait(self._retry_ms / MS_PER_S)
