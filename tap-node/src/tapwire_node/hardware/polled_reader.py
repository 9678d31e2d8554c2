"""A reader that is asked again and again, on threads of its own: what all real readers have in common.

A turn opens the reader and looks through it until it fails; then, after a pause, comes the next turn. A call into a driver may also
never come back. Then its turn is given up: another one begins on a fresh thread, and whatever the old one still says is not heard.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Final, Protocol

from tapwire_contracts.card_uid import InvalidCardUid, normalize_card_uid
from tapwire_node.clock import monotonic_ms
from tapwire_node.hardware.reader import ReaderListener

MAX_HANGING: Final = 3
"""Turns that may hang at a time; while so many do, no other one begins."""
END_WAIT_S: Final = 1.0
"""How long the end waits for a look that is under way."""
SUPERVISE_S: Final = 0.1
MS_PER_S: Final = 1_000
logger: Final = logging.getLogger(__name__)


class ReaderBroken(Exception):
    """The reader does not answer, or not as it should; the text says what to look at."""


def uid_or_none(uid: bytes) -> str | None:
    """A card's id as it is stored; None for what can't be one."""
    try:
        return normalize_card_uid(uid)
    except InvalidCardUid:
        return None


class CardSource(Protocol):
    """An opened reader. Its calls may raise `ReaderBroken` and `OSError`; then it is closed and opened anew."""

    def look(self) -> str | None:
        """The id of the card that lies there now; None when there is none, or not exactly one that can be read."""

    def close(self) -> None:
        """Let go of it."""


class ReaderSession:
    """One source, from its opening until it fails or is given up."""

    def __init__(self, open_source: Callable[[], CardSource], poll_ms: int, listener: ReaderListener) -> None:
        self._open_source = open_source
        self._poll_ms = poll_ms
        self._listener = listener
        self._telling = Lock()
        self._given_up = Event()
        self.looked_ms = monotonic_ms()
        self.failure = "it ended unexpectedly, see the log"
        self._thread = Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether its thread is gone."""
        return not self._thread.is_alive()

    def give_up(self) -> None:
        """Hear no more of it, whenever its call comes back."""
        with self._telling:
            self._given_up.set()

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
        except (ReaderBroken, OSError, RuntimeError, ImportError) as error:
            self.failure = str(error) or type(error).__name__

    def _look_through(self, source: CardSource) -> None:
        """Tell the first look's result and then every change."""
        told: str | None = None
        is_first = True
        while not self._given_up.wait(self._poll_ms / MS_PER_S):
            seen = source.look()
            self.looked_ms = monotonic_ms()
            with self._telling:
                if self._given_up.is_set():
                    return
                self._tell(seen, told, is_first=is_first)
            told, is_first = seen, False

    def _tell(self, seen: str | None, told: str | None, *, is_first: bool) -> None:
        if is_first:
            self._listener.reader_recovered()
        if seen is not None and (is_first or seen != told):
            self._listener.card_seen(seen)
        if seen is None and (is_first or told is not None):
            self._listener.card_lifted()


class PolledReader:
    """Looks for a card each `poll_ms`; opens the source anew `retry_ms` after it failed, or hung for `hang_ms`."""

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
        """When it last looked for a card, or found that it can't; monotonic."""
        return max(self._looked_ms, self._session.looked_ms if self._session is not None else 0)

    def start(self, listener: ReaderListener) -> None:
        """Begin to look."""
        self._thread = Thread(target=self._supervise, args=(listener,), name="reader-supervisor", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look no more. A call that does not come back is left to the end of the process."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._session is not None:
            self._session.give_up()
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
        """Wait until the turn is over or hangs, and say why; None at the end of the reader."""
        while not self._ended.wait(SUPERVISE_S):
            if session.is_over:
                return session.failure
            if monotonic_ms() - session.looked_ms >= self._hang_ms:
                session.give_up()
                self._hanging.append(session)
                logger.error("a look for a card has not come back for %d ms; %d hang", self._hang_ms, len(self._hanging))
                return "it hangs"
        return None
