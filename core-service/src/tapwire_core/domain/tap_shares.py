"""Which core worker decides for which tap, by rendezvous hashing. Pure.

Every worker gives each tap the same order of all workers; the first one that is there decides. So workers agree without asking each
other, and when one goes or comes only its own taps move. It saves work and is no lock: while workers differ about who is there, two
may decide a message or none, and both are normal (SYSTEM.md, "Beyond one machine").
"""

import hashlib
from collections.abc import Collection


def decides(worker: str, workers: Collection[str], tap_path: str) -> bool:
    """Return whether this worker decides for the tap, with these workers there; a worker is always there for itself."""
    return worker == max({worker, *workers}, key=lambda each: _weight(each, tap_path))


def _weight(worker: str, tap_path: str) -> bytes:
    return hashlib.blake2b(f"{worker} {tap_path}".encode(), digest_size=8).digest()
