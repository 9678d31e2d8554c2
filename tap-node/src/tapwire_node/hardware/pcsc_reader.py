"""A desk reader through PC/SC and the library `pyscard` (extra `pcsc`).

The id comes by the reader's own GET DATA command, which every contactless PC/SC reader has. The card is left as it is after each
look: were it powered down, the reader would find it anew each time, and beep.
"""

from contextlib import suppress
from typing import Final, Protocol

from tapwire_node.hardware.polled_reader import ReaderBroken, uid_or_none
from tapwire_node.hardware.settings import PcscHardware

GET_UID: Final = [0xFF, 0xCA, 0x00, 0x00, 0x00]
"""PC/SC part 3, 3.2.2.1.3: GET DATA, all of the id."""
SUCCESS: Final = (0x90, 0x00)


class Connection(Protocol):
    """The part of pyscard's `CardConnection` that is used."""

    def connect(self, protocol: int | None = None, mode: int | None = None, disposition: int | None = None) -> None:
        """Reach the card; raises `NoCardException` and `CardConnectionException`."""

    def transmit(self, command: list[int]) -> tuple[list[int], int, int]:
        """Send a command; what came back, and its two status bytes."""

    def disconnect(self) -> None:
        """Let the card go."""


class PcscReader:
    """The first PC/SC reader whose name fits; opening it raises `ReaderBroken`, and ImportError without pyscard."""

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
                raise ReaderBroken(f"the reader {self._name} is gone: plug it in") from error
            return None
        finally:
            with suppress(CardConnectionException):
                self._connection.disconnect()
        return uid_or_none(bytes(content)) if tuple(status) == SUCCESS else None

    def close(self) -> None:
        """Nothing is held between two looks."""

    def _find(self) -> tuple[str, Connection]:
        from smartcard.Exceptions import SmartcardException
        from smartcard.System import readers

        names = reader_names()
        fitting = [name for name in names if self._wanted in name]
        if not fitting:
            there = f"; there are {', '.join(names)}" if names else ""
            raise ReaderBroken(f"no PC/SC reader {self._wanted or 'at all'} is plugged in{there}")
        try:
            (reader,) = [reader for reader in readers() if str(reader) == fitting[0]]
            connection: Connection = reader.createConnection()
        except (SmartcardException, ValueError) as error:
            raise ReaderBroken(f"the reader {fitting[0]} can't be opened: {error}") from error
        return fitting[0], connection


def reader_names() -> list[str]:
    """The readers that are plugged in; raises `ReaderBroken` when the service does not answer."""
    from smartcard.Exceptions import SmartcardException
    from smartcard.System import readers

    try:
        return [str(reader) for reader in readers()]
    except SmartcardException as error:
        raise ReaderBroken(f"PC/SC does not answer, is pcscd running? {error}") from error
