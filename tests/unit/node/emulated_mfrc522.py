"""An MFRC522 in software, at the level of its registers, with cards on its antenna: behind a `spidev` and an `RPi.GPIO` of ours.

So the real library runs on it, with all that it believes of the chip: FIFO, interrupt flags, timer, checksums; and cards follow
ISO 14443-3: woken, chosen level by level, silent when they are not meant, and in each other's way when two answer at once. Numbers
of registers and bits are those of the chip's data sheet.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import xor
from threading import Event
from types import ModuleType
from typing import Any, Final

import pytest

COMMAND, COMM_IRQ, DIV_IRQ, ERROR, FIFO, FIFO_LEVEL, CONTROL, BIT_FRAMING = 0x01, 0x04, 0x05, 0x06, 0x09, 0x0A, 0x0C, 0x0D
MODE, TX_CONTROL, CRC_HIGH, CRC_LOW, TIMER_MODE, VERSION = 0x11, 0x14, 0x21, 0x22, 0x2A, 0x37
IDLE, CALCULATE_CRC, TRANSCEIVE, SOFT_RESET = 0x00, 0x03, 0x0C, 0x0F
TIMER_IRQ, RECEIVED_IRQ, SENT_IRQ, CRC_IRQ = 0x01, 0x20, 0x40, 0x04
COLLISION, TIMER_AUTO = 0x08, 0x80
AFTER_RESET: Final = {COMMAND: 0x20, COMM_IRQ: 0x14, TX_CONTROL: 0x80, MODE: 0x3F}
TIMER_READS: Final = 3
"""Number of reads of the flags after which the chip's timer has run out."""
WAKE_UP, REQUEST, HALT = 0x52, 0x26, 0x50
CASCADE: Final = (0x93, 0x95, 0x97)
Frame = tuple[tuple[int, ...], int]
"""Bytes, and the number of valid bits of the last one (0: all)."""


def crc_a(content: tuple[int, ...] | list[int]) -> tuple[int, int]:
    """The checksum of ISO 14443-3 type A, low byte first."""
    crc = 0x6363
    for byte in content:
        mixed = (byte ^ crc) & 0xFF
        mixed = (mixed ^ mixed << 4) & 0xFF
        crc = crc >> 8 ^ mixed << 8 ^ mixed << 3 ^ mixed >> 4
    return crc & 0xFF, crc >> 8


@dataclass
class EmulatedCard:
    """A card: `uid` of 4, 7 or 10 bytes. `frames_left`: frames that it receives before it is removed."""

    uid: bytes
    frames_left: int | None = None
    wrong_bcc: bool = False
    wrong_sak_crc: bool = False
    denies_cascade: bool = False
    _level: int | None = None
    _halted: bool = False
    _active: bool = False

    def levels(self) -> list[tuple[int, ...]]:
        rest, levels = self.uid, []
        while len(rest) > 4:
            levels.append((0x88, *rest[:3]))
            rest = rest[3:]
        return [*levels, tuple(rest)]

    def hear(self, frame: Frame) -> tuple[int, ...] | None:
        """The answer to a frame."""
        if self.frames_left is not None:
            if self.frames_left == 0:
                return None
            self.frames_left -= 1
        content, bits = frame
        if bits == 7:
            return self._wake(content[0])
        if self._level is not None:
            return self._choose(content, self._level)
        if self._active and content == (HALT, 0, *crc_a((HALT, 0))):
            self._halted = True
        self._active = False
        return None

    def _wake(self, command: int) -> tuple[int, ...] | None:
        is_quiet = self._level is None and not self._active
        self._level, self._active = None, False
        if not is_quiet or (command == REQUEST and self._halted) or command not in (WAKE_UP, REQUEST):
            return None
        self._level, self._halted = 0, False
        return (0x44 if len(self.uid) > 4 else 0x04), 0x00

    def _choose(self, content: tuple[int, ...], level: int) -> tuple[int, ...] | None:
        self._level = None
        part = self.levels()[level]
        answer = (*part, reduce(xor, part) ^ (0x01 if self.wrong_bcc else 0))
        if content == (CASCADE[level], 0x20):
            self._level = level
            return answer
        select = (CASCADE[level], 0x70, *answer)
        if content != (*select, *crc_a(select)):
            return None
        has_more = level + 1 < len(self.levels())
        if has_more:
            self._level = level + 1
        else:
            self._active = True
        sak = 0x04 if has_more and not self.denies_cascade else 0x08
        checksum = crc_a((sak,))
        return sak, checksum[0] ^ (0x40 if self.wrong_sak_crc else 0), checksum[1]


@dataclass
class EmulatedChip:
    """The chip, its antenna, its two wires of trouble: power and bus.

    `bus`: what every read gives while no chip answers. `blocks`: reads wait until it is set. `needs_reset`: hung until its reset
    pin goes low. `timer_dead`: it never says that nobody answered.
    """

    cards: list[EmulatedCard] = field(default_factory=list)
    bus: int | None = None
    blocks: Event | None = None
    needs_reset: bool = False
    timer_dead: bool = False
    is_there: bool = True
    reads: int = 0
    opened: int = 0
    closed: int = 0
    let_go: int = 0
    """Number of times that all pins of the process were released."""
    _registers: dict[int, int] = field(default_factory=lambda: dict(AFTER_RESET))
    _fifo: list[int] = field(default_factory=list)
    _waits: int = 0
    _is_held_in_reset: bool = False

    # ── the pins ────────────────────────────────────────────────────────────

    def set_reset(self, level: int) -> None:
        """The reset pin."""
        self._is_held_in_reset = level == 0
        if level == 0:
            self.needs_reset = False
            self.lose_power()

    def lose_power(self) -> None:
        """A short power cut: the chip comes back without its settings."""
        self._registers, self._fifo = dict(AFTER_RESET), []

    def transfer(self, sent: list[int]) -> list[int]:
        """One register over SPI: an address byte and a value."""
        if self.blocks is not None:
            self.blocks.wait()
        dead = self.bus if self.bus is not None else 0x00 if self.needs_reset or self._is_held_in_reset else None
        register = sent[0] >> 1 & 0x3F
        if not sent[0] & 0x80:
            if dead is None:
                self._write(register, sent[1])
            return [0, 0]
        self.reads += 1
        return [0, self._read(register) if dead is None else dead]

    # ── the registers ───────────────────────────────────────────────────────

    def _read(self, register: int) -> int:
        match register:
            case 0x37:
                return 0x92
            case 0x09:
                return self._fifo.pop(0) if self._fifo else 0
            case 0x0A:
                return len(self._fifo)
            case 0x04:
                self._run_timer()
        return self._registers.get(register, 0)

    def _run_timer(self) -> None:
        if self._waits and not self.timer_dead:
            self._waits -= 1
            if self._waits == 0:
                self._registers[COMM_IRQ] |= TIMER_IRQ

    def _write(self, register: int, value: int) -> None:
        if register in (COMM_IRQ, DIV_IRQ):
            flags = self._registers.get(register, 0)
            self._registers[register] = flags | value & 0x7F if value & 0x80 else flags & ~value
        elif register == FIFO:
            self._fifo.append(value)
        elif register == FIFO_LEVEL:
            self._fifo = [] if value & 0x80 else self._fifo
        elif register == COMMAND:
            self._command(value & 0x0F)
        else:
            self._registers[register] = value
            if register == BIT_FRAMING and value & 0x80 and self._registers[COMMAND] == TRANSCEIVE:
                self._transceive(value & 0x07)

    def _command(self, command: int) -> None:
        self._registers[COMMAND] = command
        if command == SOFT_RESET:
            self.lose_power()
        elif command == CALCULATE_CRC:
            low, high = crc_a(self._fifo)
            self._registers |= {CRC_LOW: low, CRC_HIGH: high, DIV_IRQ: self._registers.get(DIV_IRQ, 0) | CRC_IRQ}
            self._fifo = []

    def _transceive(self, last_bits: int) -> None:
        frame: Frame = (tuple(self._fifo), last_bits)
        self._fifo = []
        self._registers |= {ERROR: 0, CONTROL: 0, COMM_IRQ: self._registers[COMM_IRQ] | SENT_IRQ}
        has_field = self._registers[TX_CONTROL] & 0x03 == 0x03
        answers = [answer for card in self.cards if has_field and (answer := card.hear(frame)) is not None]
        if not answers:
            self._waits = TIMER_READS if self._registers.get(TIMER_MODE, 0) & TIMER_AUTO else 0
            return
        longest = max(map(len, answers))
        self._fifo = [
            reduce(lambda one, other: one | other, column) for column in zip(*(pad(a, longest) for a in answers), strict=True)
        ]
        self._registers[ERROR] = COLLISION if len(set(answers)) > 1 else 0
        self._registers[COMM_IRQ] |= RECEIVED_IRQ


def pad(answer: tuple[int, ...], length: int) -> tuple[int, ...]:
    return (*answer, *(0 for _ in range(length - len(answer))))


# ── the two modules that the library imports ────────────────────────────────


class SpiDev:
    """Has the interface of spidev's class; `chip` is set by `plugged_in`."""

    chip: EmulatedChip

    def __init__(self) -> None:
        self.max_speed_hz = 0
        self._is_open = False

    def open(self, bus: int, device: int) -> None:
        if not self.chip.is_there:
            raise FileNotFoundError(2, f"no /dev/spidev{bus}.{device}")
        self._is_open = True
        self.chip.opened += 1

    def xfer2(self, sent: list[int]) -> list[int]:
        if not self._is_open or not self.chip.is_there:
            raise OSError(9, "Bad file descriptor")
        return self.chip.transfer(sent)

    def close(self) -> None:
        self._is_open = False
        self.chip.closed += 1


def gpio_of(chip: EmulatedChip, reset_pin: int) -> ModuleType:
    """An `RPi.GPIO` whose one wired pin is the chip's reset."""
    gpio: Any = ModuleType("RPi.GPIO")
    mode: list[int] = []

    def output(pin: int, level: int) -> None:
        assert mode, "numbering first"
        if pin == reset_pin:
            chip.set_reset(level)

    def cleanup() -> None:
        chip.let_go += 1

    gpio.BCM, gpio.BOARD, gpio.OUT = 11, 10, 0
    gpio.getmode = lambda: mode[0] if mode else None
    gpio.setmode = mode.append
    gpio.setup = lambda pin, direction: None
    gpio.setwarnings = lambda wanted: None
    gpio.output, gpio.cleanup = output, cleanup
    module: ModuleType = gpio
    return module


def plugged_in(monkeypatch: pytest.MonkeyPatch, reset_pin: int = 25) -> Iterator[EmulatedChip]:
    """A chip on this process's bus while the test runs."""
    chip = EmulatedChip()
    spidev: Any = ModuleType("spidev")
    spidev.SpiDev = type("SpiDev", (SpiDev,), {"chip": chip})
    pi: Any = ModuleType("RPi")
    pi.GPIO = gpio_of(chip, reset_pin)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mfrc522"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "spidev", spidev)
    monkeypatch.setitem(sys.modules, "RPi", pi)
    monkeypatch.setitem(sys.modules, "RPi.GPIO", pi.GPIO)
    yield chip
    for name in [name for name in sys.modules if name.partition(".")[0] == "mfrc522"]:
        monkeypatch.delitem(sys.modules, name)
