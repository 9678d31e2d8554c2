"""A reader that is polled on threads of its own; the common part of all real readers.

A session opens the reader and polls it until it fails; after a pause the next session begins. A call into a driver may also hang.
Then its session is abandoned: another one begins on a new thread, and late reports of the old one are ignored.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Final, Protocol

from tapwire_contracts.card_uid import InvalidCardUid, normalize_card_uid
from tapwire_node.clock import monotonic_ms
from tapwire_node.hardware.pin_libraries import pin_errors
from tapwire_node.hardware.reader import ReaderListener

MAX_HANGING: Final = 3
"""Largest number of hanging sessions; while there are so many, no other one begins."""
END_WAIT_S: Final = 1.0
"""Longest wait at shutdown for a look in progress."""
SUPERVISE_S: Final = 0.1
MS_PER_S: Final = 1_000
logger: Final = logging.getLogger(__name__)


class ReaderBroken(Exception):
    """The reader does not answer correctly; the text says what to check."""


def uid_or_none(uid: bytes) -> str | None:
    """Normalize a card's id; None if it is not valid."""
    try:
        return normalize_card_uid(uid)
    except InvalidCardUid:
        return None


class CardSource(Protocol):
    """An open reader. Its calls may raise `ReaderBroken` and `OSError`; then it is closed and opened again."""

    def look(self) -> str | None:
        """The id of the card on the reader; None when there is not exactly one readable card."""

    def close(self) -> None:
        """Release the reader."""


class ReaderSession:
    """One source, from its opening until it fails or is abandoned."""

    def __init__(self, open_source: Callable[[], CardSource], poll_ms: int, listener: ReaderListener) -> None:
        self._open_source = open_source
        self._poll_ms = poll_ms
        self._listener = listener
        self._reporting = Lock()
        self._abandoned = Event()
        self.looked_ms = monotonic_ms()
        self.failure = "it ended unexpectedly, see the log"
        self._thread = Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """True when its thread has ended."""
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Ignore all further reports of this session."""
        with self._reporting:
            self._abandoned.set()

    def join(self, timeout_s: float) -> None:
        """Wait for its end."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            source = self._open_source()
            try:
                self._look_through(source)
            finally:
                with suppress(OSError, ReaderBroken):
                    source.close()
        except ReaderBroken as error:
            self.failure = str(error)
        except pin_errors() as error:
            self.failure = str(error) or type(error).__name__

    def _look_through(self, source: CardSource) -> None:
        """Report the result of the first look, then every change."""
        reported: str | None = None
        is_first = True
        while not self._abandoned.wait(self._poll_ms / MS_PER_S):
            seen = source.look()
            self.looked_ms = monotonic_ms()
            with self._reporting:
                if self._abandoned.is_set():
                    return
                self._report(seen, reported, is_first=is_first)
            reported, is_first = seen, False

    def _report(self, seen: str | None, reported: str | None, *, is_first: bool) -> None:
        if is_first:
            self._listener.reader_recovered()
        if seen is not None and (is_first or seen != reported):
            self._listener.card_seen(seen)
        if seen is None and (is_first or reported is not None):
            self._listener.card_lifted()


class PolledReader:
    """Looks for a card each `poll_ms`; opens the source again `retry_ms` after it failed or hung for `hang_ms`."""

    def __init__(self, open_source: Callable[[], CardSource], poll_ms: int, retry_ms: int, hang_ms: int) -> None:
        self._open_source = open_source
        self._poll_ms = poll_ms
        self._retry_ms = retry_ms
        self._hang_ms = hang_ms
        self._ended = Event()
        self._looked_ms = monotonic_ms()
        self._session: ReaderSession | None = None
        self._hanging: list[ReaderSession] = []
        self._thread: Thread | None = None

    @property
    def looked_ms(self) -> int:
        """The monotonic time of the last look, or of the last failure."""
        return max(self._looked_ms, self._session.looked_ms if self._session is not None else 0)

    def start(self, listener: ReaderListener) -> None:
        """Begin to look for cards."""
        self._thread = Thread(target=self._supervise, args=(listener,), name="reader-supervisor", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop looking. A hanging call is left until the process ends."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._session is not None:
            self._session.abandon()
            self._session.join(END_WAIT_S)

    def _supervise(self, listener: ReaderListener) -> None:
        while not self._ended.is_set():
            self._hanging = [session for session in self._hanging if not session.is_over]
            if len(self._hanging) < MAX_HANGING:
                self._session = ReaderSession(self._open_source, self._poll_ms, listener)
                failure = self._watch(self._session)
                if failure is None:
                    return
                listener.reader_failed(failure)
                self._looked_ms = monotonic_ms()
            self._ended.wait(self._retry_ms / MS_PER_S)

    def _watch(self, session: ReaderSession) -> str | None:
        """Wait until the session fails or hangs and return the reason; None when the reader is ended."""
        while not self._ended.wait(SUPERVISE_S):
            if session.is_over:
                return session.failure
            if monotonic_ms() - session.looked_ms >= self._hang_ms:
                session.abandon()
                self._hanging.append(session)
                logger.error("a look for a card has hung for %d ms; %d hanging calls now", self._hang_ms, len(self._hanging))
                return "it hangs"
        return None
