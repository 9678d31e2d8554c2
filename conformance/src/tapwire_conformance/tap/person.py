"""A person at the tap as the rig: told what to do in one sentence, and believed when the node says that it was done.

What a node says of itself (the card on its reader, its valve, its boot) shows most deeds: then nothing has to be typed, and no
time is lost while an answer is awaited. What can't be seen, or is not seen, the person confirms with Enter. The faucet stays
closed but where it is told to open, so that holding the flow back takes no deed.
"""

import sys
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, TextIO

from tapwire_conformance.rules import NotTried
from tapwire_conformance.tap.link import Link
from tapwire_conformance.tap.rig import OK, UNKNOWN, RigUnusable
from tapwire_conformance.transcript import Transcript
from tapwire_contracts.topics import DevicePath

LOOK_S: Final = 0.05
UNSEEN_S: Final = 3.0
"""After Enter the node has so long to say what was done; then the person is asked again."""
DEEDS: Final = {
    "card-on": "Lay card {} on the reader, and leave it there",
    "card-off": "Take the card off the reader",
    "pour": "Open the faucet, let about {} ml flow or as much as comes, and close it",
    "leak": "Let about {} ml flow through the meter while the valve is closed",
    "power-cut": "Cut the node's power, and give it again",
}


class PersonRig:
    """Says what to do, and waits until it is done."""

    def __init__(
        self, transcript: Transcript, path: DevicePath, link: Link | None, typed: TextIO = sys.stdin, shown: TextIO = sys.stdout
    ) -> None:
        self._transcript = transcript
        self._topic = path.topic("state")
        self._link = link
        self._shown = shown
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._names: dict[str, str] = {}
        self._known: dict[str, str] = {}
        Thread(target=self._read, args=(typed,), daemon=True).start()

    def do(self, request: str) -> str:
        """Have it done; raises `NotTried` when the person can't, and `RigUnusable` when nobody is there."""
        verb, _, argument = request.partition(" ")
        if verb in ("valve", "flowed"):
            return UNKNOWN
        if verb == "flow":
            self._say("Keep the faucet closed until you are told to open it." if argument == "off" else "")
            return OK
        is_seen = self._proof(verb, argument) if self._sees() else None
        if is_seen is None or not is_seen():
            self._have_done(request, DEEDS[verb].format(self._name(argument) if verb == "card-on" else argument), is_seen)
        if verb == "card-on":
            self._learn(argument)
        return OK

    # ── what the person is told, and answers ──────────────────────────────────

    def _have_done(self, request: str, deed: str, is_seen: Callable[[], bool] | None) -> None:
        self._forget_typed()
        believes = is_seen is None or request.startswith("pour")
        how = "Enter when it is done" if believes else "I see it when it is done"
        self._say(f">>> {deed}. ({how}; n and Enter if it can't be done.)")
        while not (is_seen and is_seen()):
            line = self._typed()
            if line is None:
                continue
            if line.strip().lower().startswith("n"):
                raise NotTried(f"nobody could {request}")
            if is_seen is None or believes or self._waited(is_seen):
                return
            believes = True
            self._say(f"    The node does not say so: {self._seen()}. {deed}, or press Enter again to go on all the same.")

    def _waited(self, is_seen: Callable[[], bool]) -> bool:
        until_s = time.monotonic() + UNSEEN_S
        while not is_seen() and time.monotonic() < until_s:
            time.sleep(LOOK_S)
        return is_seen()

    def _typed(self) -> str | None:
        try:
            line = self._lines.get(timeout=LOOK_S)
        except Empty:
            return None
        if not line:
            raise RigUnusable("nobody is at the terminal: its input has ended (--rig names a program that acts at the tap)")
        return line

    def _forget_typed(self) -> None:
        """An Enter for what was seen already is none for the next deed."""
        while not self._lines.empty():
            if not self._lines.get():
                self._lines.put("")
                return

    def _read(self, typed: TextIO) -> None:
        line = " "
        while line:
            line = typed.readline()
            self._lines.put(line)

    def _say(self, text: str) -> None:
        if text:
            print(text, file=self._shown, flush=True)

    # ── what the node shows ───────────────────────────────────────────────────

    def _proof(self, verb: str, argument: str) -> Callable[[], bool] | None:
        """What shows in the node's state that a deed was done; None where nothing does."""
        before = self._state()
        match verb:
            case "card-on":
                return lambda: self._is_card(argument)
            case "card-off":
                return lambda: self._state().get("card") is None
            case "power-cut":
                return lambda: self._state().get("boot_id") != before.get("boot_id")
            case "pour" if before.get("valve") == "open":
                return lambda: self._state().get("valve") == "closed"
            case _:
                return None

    def _is_card(self, uid: str) -> bool:
        """Whether this card lies on the reader: the one of before under this name, or one that has no name yet."""
        card_uid = self._card_uid()
        if card_uid is None:
            return False
        known = self._known.get(uid)
        return card_uid == known if known else card_uid not in self._known.values()

    def _learn(self, uid: str) -> None:
        card_uid = self._card_uid()
        if uid not in self._known and card_uid is not None and self._is_card(uid):
            self._known[uid] = card_uid

    def _name(self, uid: str) -> str:
        """A person's cards have ids of their own: they are called A and B."""
        name = self._names.setdefault(uid, chr(ord("A") + len(self._names)))
        return f"{name} ({self._known[uid]})" if uid in self._known else f"{name} (any that has no name yet)"

    def _card_uid(self) -> str | None:
        card = self._state().get("card")
        return str(card.get("card_uid")) if isinstance(card, dict) else None

    def _seen(self) -> str:
        state = self._state()
        card_uid = self._card_uid()
        return f"on its reader lies {f'card {card_uid}' if card_uid else 'no card'}, its valve is {state.get('valve')}"

    def _sees(self) -> bool:
        """Whether the node's state follows what is done at the tap: not while its connection is cut."""
        return (self._link is None or self._link.is_open) and self._state().get("status") == "online"

    def _state(self) -> dict[str, Any]:
        heard = self._transcript.heard(0, lambda heard: heard.topic == self._topic and heard.kind == "node_state")
        return heard[-1].content if heard else {}
