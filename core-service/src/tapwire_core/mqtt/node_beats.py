"""Heartbeats of nodes at one worker: states that say nothing new are collected, and written together every few seconds.

A thousand nodes that beat each 30 s cost one statement in two seconds instead of thirty transactions a second. What a state says
anew is noted at once. The memory here only chooses the way: the database compares each collected state with its row, and one that
differs, or for which something must be corrected, is noted like any other.
"""

import time
from typing import Final

from msgspec.structs import replace

from tapwire_contracts.messages import NodeState
from tapwire_contracts.reasons import Presence
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import Database
from tapwire_core.services.nodes import note_beats, note_silence, note_state


class NodeBeats:
    """The states that a worker has noted over one connection, and the heartbeats since the last writing."""

    def __init__(self) -> None:
        self._noted: Final[dict[DevicePath, NodeState]] = {}
        self._beats: Final[dict[DevicePath, NodeState]] = {}
        self._hears_since_s = time.monotonic()
        """Since when no heartbeat can have been missed by this worker, nor have failed to be written."""

    def collect(self, path: DevicePath, state: NodeState) -> bool:
        """Collect a state that says nothing new; False for any other."""
        if state.status is not Presence.ONLINE or self._noted.get(path) != _content(state):
            return False
        self._beats[path] = state
        return True

    def remember(self, path: DevicePath, state: NodeState) -> None:
        """Remember a state that was noted; heartbeats from before it are no longer written."""
        self._noted[path] = _content(state)
        self._beats.pop(path, None)

    async def write(self, db: Database) -> None:
        """Write the collected heartbeats, and note which nodes have missed theirs; what can't be written stays collected."""
        beats = dict(self._beats)
        self._beats.clear()
        try:
            for path in await note_beats(db, beats) if beats else []:
                if not await note_state(db, path, beats[path]):
                    self._noted.pop(path, None)
            await note_silence(db, round((time.monotonic() - self._hears_since_s) * 1000))
        except BaseException:
            self._beats.update({**beats, **self._beats})
            self._hears_since_s = time.monotonic()
            raise


def _content(state: NodeState) -> NodeState:
    """A state without its age: two of one content say the same."""
    return replace(state, uptime_ms=0)
