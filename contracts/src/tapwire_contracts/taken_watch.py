"""Whether a client that has several addresses should leave the one that takes none of its messages.

A broker may answer pings and keep the connection of a client whose messages it drops: RabbitMQ does while it may not ask who may
publish what. Pure: times come from outside, in ms of the monotonic clock.
"""

from typing import Final

UNTAKEN_MS: Final = 5_000
"""Time for which an address may acknowledge nothing: as long as a cluster takes to count a member as lost, whose clients' messages
hold back the others' acknowledgements."""


class TakenWatch:
    """The acknowledgements of messages at the current address."""

    def __init__(self, addresses: int, patience_ms: int = UNTAKEN_MS) -> None:
        self._addresses = addresses
        self._patience_ms = patience_ms
        self._since_ms: int | None = None
        """Since when the broker owes us the acknowledgement of all messages."""

    def connected(self) -> None:
        """A connection begins."""
        self._since_ms = None

    def sent(self, now_ms: int) -> None:
        """A message is sent that must be acknowledged."""
        if self._since_ms is None:
            self._since_ms = now_ms

    def taken(self) -> None:
        """A message was acknowledged."""
        self._since_ms = None

    def overdue_ms(self, now_ms: int) -> int | None:
        """For how long no message was taken, if that is a reason to leave; None while it is none."""
        waits_ms = 0 if self._since_ms is None else now_ms - self._since_ms
        return waits_ms if self._addresses > 1 and waits_ms >= self._patience_ms else None
