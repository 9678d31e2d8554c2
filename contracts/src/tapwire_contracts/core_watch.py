"""Whether a client that has several addresses should leave the one at which it hears no core worker.

A member of a cluster may be cut off from the others, or the core may be at another broker. Then the client is connected, and nobody
answers. Pure: times come from outside, in ms of the monotonic clock.
"""

from typing import Final

from tapwire_contracts.messages import MISSED_HEARTBEATS

USUAL_HEARTBEAT_MS: Final = 5_000
"""The heartbeat that is waited for before any core worker has said its own."""
MOST_DOUBLINGS: Final = 5


class CoreWatch:
    """The core workers' heartbeats at the current address.

    While no address has a core worker, each round over all of them waits twice as long: a core that is down is not found any
    sooner by looking for it, and each change of the address shows a node as offline for a moment.
    """

    def __init__(self, addresses: int) -> None:
        self._addresses = addresses
        self._heartbeat_ms = USUAL_HEARTBEAT_MS
        self._heard_ms = 0
        self._visited = -1
        """Addresses without a core worker since one was heard last."""
        self._stays = False

    def connected(self, now_ms: int) -> None:
        """A connection begins: its core workers have their time to be heard."""
        self._heard_ms, self._stays = now_ms, False
        self._visited += 1

    def heard(self, now_ms: int, heartbeat_ms: int | None) -> None:
        """A core worker is heard. One that promises no heartbeats may be silent for ever."""
        self._heard_ms, self._visited = now_ms, 0
        self._stays = self._stays or heartbeat_ms is None
        self._heartbeat_ms = heartbeat_ms or self._heartbeat_ms

    def overdue_ms(self, now_ms: int) -> int | None:
        """For how long no core worker was heard, if that is a reason to leave; None while it is none."""
        patience_ms = MISSED_HEARTBEATS * self._heartbeat_ms << min(max(self._visited, 0) // self._addresses, MOST_DOUBLINGS)
        silence_ms = now_ms - self._heard_ms
        return silence_ms if self._addresses > 1 and not self._stays and silence_ms >= patience_ms else None
