"""The taps for which a worker decides, where each worker gets every message (`TAPWIRE_SHARED_SUBSCRIPTIONS=false`).

A tap belongs to one of the workers that are there (`domain.tap_shares`); the others leave its questions and reports alone. Those
are there that announce themselves in the database and whose presence the broker shows. The broker clears the presence of a killed
worker at once; one that hangs stops announcing itself.

A node repeats what is not answered. So a worker that gets the same question or report again after a while decides it, also if it
belongs to another one, and for some time everything of this tap: the worker that it belongs to may be gone without a word, or be
cut off.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Collection
from typing import Final

from tapwire_contracts.topics import core_state_topic
from tapwire_core.domain.tap_shares import decides

NEGLECTED_PART: Final = 0.4
"""A message that comes again this part of the takeover time later was not answered."""
ADOPTED_S: Final = 60.0
"""For how long a worker decides for a tap whose message it found unanswered."""
MAX_REMEMBERED: Final = 10_000
"""Messages of others that are remembered; the oldest are forgotten."""
_ID: Final = re.compile(rb'"(?:event_id|pour_id)"\s*:\s*"([^"]{1,64})"')


class TapShares:
    """One worker's part of all taps. Times are those of a monotonic clock, in seconds."""

    def __init__(self, worker: str, takeover_s: float) -> None:
        self._worker = worker
        self._neglected_s = takeover_s * NEGLECTED_PART
        self._announced: Collection[str] = ()
        self._shown: Final[set[str]] = set()
        """The topics of the presences at the broker."""
        self._workers: Collection[str] = ()
        self._left: Final[OrderedDict[tuple[str, bytes], float]] = OrderedDict()
        """Messages that were left to others, with the time of their first copy."""
        self._adopted: Final[dict[str, float]] = {}
        """Taps of others for which this worker decides, until when."""

    def set_announced(self, workers: Collection[str]) -> None:
        """The workers that announce themselves; without this call, and until it, this worker decides everything."""
        self._announced = frozenset(workers)
        self._count()

    def hear_presence(self, topic: str, payload: bytes) -> None:
        """A worker shows its presence at the broker; an empty one is cleared."""
        if payload:
            self._shown.add(topic)
        else:
            self._shown.discard(topic)
        self._count()

    def _count(self) -> None:
        self._workers = frozenset(worker for worker in self._announced if core_state_topic(worker) in self._shown)

    def owns(self, device: str) -> bool:
        """True if the device belongs to this worker."""
        return decides(self._worker, self._workers, device)

    def takes(self, device: str, payload: bytes, now_s: float) -> bool:
        """True if this worker decides this message."""
        if self.owns(device) or self._adopted.get(device, 0.0) > now_s:
            return True
        key = device, _id_of(payload)
        first_s = self._left.setdefault(key, now_s)
        if len(self._left) > MAX_REMEMBERED:
            self._left.popitem(last=False)
        if now_s - first_s < self._neglected_s:
            return False
        del self._left[key]
        self._adopted[device] = now_s + ADOPTED_S
        return True


def _id_of(payload: bytes) -> bytes:
    """What stays the same when a message is repeated: its id, or all of a message without one."""
    found = _ID.search(payload)
    return found[1] if found else hashlib.blake2b(payload, digest_size=16).digest()
