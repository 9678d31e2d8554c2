"""A desk reader through PC/SC and the library `pyscard` (extra `pcsc`).

The id is read by the reader's GET DATA command, which every contactless PC/SC reader has. The card stays powered after each look:
otherwise the reader would find it again each time, and beep.
"""

from contextlib import suppress
from typing import Final, Protocol

from tapwire_node.hardware.polled_reader import ReaderBroken, uid_or_none
from tapwire_node.hardware.settings import PcscHardware

GET_UID: Final = [0xFF, 0xCA, 0x00, 0x00, 0x00]
"""GET DATA for the complete id (PC/SC part 3, 3.2.2.1.3)."""
SUCCESS: Final = (0x90, 0x00)


class Connection(Protocol):
    """The part of pyscard's `CardConnection` that is used."""

    def connect(self, protocol: int | None = None, mode: int | None = None, disposition: int | None = None) -> None:
        """Connect to the card; raises `NoCardException` and `CardConnectionException`."""

    def transmit(self, command: list[int]) -> tuple[list[int], int, int]:
        """Send a command; returns the answer and its two status bytes."""

    def disconnect(self) -> None:
        """Disconnect from the card."""


class PcscReader:
    """The first PC/SC reader with a matching name; opening it raises `ReaderBroken`, and ImportError without pyscard."""

    def __init__(self, settings: PcscHardware) -> None:
        self._wanted = settings.reader_name
        self._name, self._connection = self._find()

    def look(self) -> str | None:
        """The id of the card on the reader; raises `ReaderBroken` when the reader has gone."""
        from smartcard.Exceptions import CardConnectionException, NoCardException
        from smartcard.scard import SCARD_LEAVE_CARD

        try:
            self._connection.connect(disposition=SCARD_LEAVE_CARD)
            content, *status = self._connection.transmit(GET_UID)
        except (NoCardException, CardConnectionException) as error:
            if self._name not in reader_names():
                raise ReaderBroken(f"the reader {self._name} is unplugged: plug it in") from error
            return None
        finally:
            with suppress(CardConnectionException):
                self._connection.disconnect()
        return uid_or_none(bytes(content)) if tuple(status) == SUCCESS else None

    def close(self) -> None:
        """Do nothing: no connection is held between two looks."""

    def _find(self) -> tuple[str, Connection]:
        from smartcard.Exceptions import SmartcardException
        from smartcard.System import readers

        names = reader_names()
        fitting = [name for name in names if self._wanted in name]
        if not fitting:
            there = f"; there are {', '.join(names)}" if names else ""
            raise ReaderBroken(f"no PC/SC reader{f' named {self._wanted}' if self._wanted else ''} is plugged in{there}")
        try:
            (reader,) = [reader for reader in readers() if str(reader) == fitting[0]]
            connection: Connection = reader.createConnection()
        except (SmartcardException, ValueError) as error:
            raise ReaderBroken(f"the reader {fitting[0]} can't be opened: {error}") from error
        return fitting[0], connection


def reader_names() -> list[str]:
    """The names of the plugged-in readers; raises `ReaderBroken` when the service does not answer."""
    from smartcard.Exceptions import SmartcardException
    from smartcard.System import readers

    try:
        return [str(reader) for reader in readers()]
    except SmartcardException as error:
        raise ReaderBroken(f"the PC/SC service does not answer, check that pcscd is running: {error}") from error
