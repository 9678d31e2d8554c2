"""A `smartcard` package with the shape of pyscard's, and USB readers that a test plugs in."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

SCARD_LEAVE_CARD, SCARD_UNPOWER_CARD = 0, 2
NO_CARD, GONE, NO_SERVICE = 0x8010000C, 0x80100017, 0x8010001D
GET_UID = [0xFF, 0xCA, 0x00, 0x00, 0x00]


class SmartcardException(Exception):
    def __init__(self, message: str = "", hresult: int = -1, *rest: object) -> None:
        super().__init__(message, *rest)
        self.hresult = int(hresult)


class CardConnectionException(SmartcardException):
    pass


class NoCardException(SmartcardException):
    def __init__(self, message: str, hresult: int) -> None:
        super().__init__(message, hresult=hresult)


class EstablishContextException(SmartcardException):
    pass


@dataclass
class Plugged:
    """The plugged-in readers by name, with the card on each and its answer to GET DATA."""

    readers: dict[str, list[int] | None] = field(default_factory=dict)
    service_runs: bool = True
    status: tuple[int, int] = (0x90, 0x00)
    leaves_card: bool = False
    """True: the card is removed between `connect` and `transmit`."""
    dispositions: list[int | None] = field(default_factory=list)


class Connection:
    def __init__(self, desk: Plugged, name: str) -> None:
        self._desk = desk
        self._name = name
        self._connected = False

    def connect(self, protocol: int | None = None, mode: int | None = None, disposition: int | None = None) -> None:
        if self._name not in self._desk.readers:
            raise CardConnectionException("Unable to connect", hresult=GONE)
        if self._desk.readers[self._name] is None:
            raise NoCardException("Unable to connect", hresult=NO_CARD)
        self._desk.dispositions.append(disposition)
        self._connected = True

    def transmit(self, command: list[int]) -> tuple[list[int], int, int]:
        if not self._connected:
            raise CardConnectionException("Card not connected")
        uid = self._desk.readers.get(self._name)
        if self._desk.leaves_card or uid is None:
            raise CardConnectionException("Failed to transmit", hresult=0x80100069)
        assert command == GET_UID
        return (uid, *self._desk.status) if self._desk.status == (0x90, 0x00) else ([], *self._desk.status)

    def disconnect(self) -> None:
        self._connected = False


class Reader:
    def __init__(self, desk: Plugged, name: str) -> None:
        self._desk = desk
        self._name = name

    def __str__(self) -> str:
        return self._name

    def createConnection(self) -> Connection:  # noqa: N802 - pyscard's name
        return Connection(self._desk, self._name)


def on_the_desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugged]:
    """A fake PC/SC service while the test runs."""
    desk = Plugged()

    def readers(groups: list[str] | None = None) -> list[Reader]:
        if not desk.service_runs:
            raise EstablishContextException("Failed to establish context", hresult=NO_SERVICE)
        return [Reader(desk, name) for name in desk.readers]

    package: Any = ModuleType("smartcard")
    modules: dict[str, Any] = {name: ModuleType(f"smartcard.{name}") for name in ("System", "Exceptions", "scard")}
    modules["System"].readers = readers
    for error in (SmartcardException, CardConnectionException, NoCardException):
        setattr(modules["Exceptions"], error.__name__, error)
    modules["scard"].SCARD_LEAVE_CARD = SCARD_LEAVE_CARD
    monkeypatch.setitem(sys.modules, "smartcard", package)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"smartcard.{name}", module)
    yield desk
