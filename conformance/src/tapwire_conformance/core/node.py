"""A tap node as the kit plays it: a journal, a boot, a count of questions and an odometer. It says what a scenario has it say."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

from tapwire_conformance import SOFTWARE
from tapwire_conformance.broker import Connection
from tapwire_conformance.rules import Broken
from tapwire_conformance.transcript import Entry, Transcript
from tapwire_contracts.topics import DevicePath

READ_AT: Final = "2026-05-01T20:00:00Z"
MS_PER_ML: Final = 20
FORBIDDEN_OUTCOME: Final = "synced_without_pending"


class PlayedNode:
    """One journal of a node at a tap. Payloads are dictionaries, so that a scenario can spoil them."""

    def __init__(self, path: DevicePath, connection: Connection, transcript: Transcript, answer_s: float, quiet_s: float) -> None:
        self.path = path
        self.journal_id = str(uuid4())
        self.boot_id = str(uuid4())
        self.seq = 0
        self.odometer_ml = 0
        self._connection = connection
        self._transcript = transcript
        self._answer_s = answer_s
        self._quiet_s = quiet_s

    # ── what it says ──────────────────────────────────────────────────────────

    def question(self, card_uid: str, **changes: object) -> dict[str, Any]:
        """A new question: a card is laid on the reader."""
        self.seq += 1
        return {
            "type": "card_presented",
            "event_id": str(uuid4()),
            "card_uid": card_uid,
            "reader_id": "reader",
            "read_at": READ_AT,
            "boot_id": self.boot_id,
            "journal_id": self.journal_id,
            "seq": self.seq,
            "unsettled": [],
            **changes,
        }

    def report_of(self, grant: Mapping[str, Any], volume_ml: int, **changes: object) -> dict[str, Any]:
        """The report of a pour in which the odometer went on by its volume."""
        from_ml = self.odometer_ml
        self.odometer_ml += volume_ml
        return {
            "type": "pour_completed",
            "pour_id": grant["pour_id"],
            "card_uid": grant["card_uid"],
            "volume_ml": volume_ml,
            "duration_ms": volume_ml * MS_PER_ML,
            "end_reason": "card_removed",
            "interrupted": False,
            "started_at": READ_AT,
            "age_ms": 0,
            "odometer_from_ml": from_ml,
            "odometer_to_ml": self.odometer_ml,
            "journal_id": self.journal_id,
            "boot_id": self.boot_id,
            **changes,
        }

    def flow_of(self, volume_ml: int, **changes: object) -> dict[str, Any]:
        """The report of a leak in which the odometer went on by its volume."""
        from_ml = self.odometer_ml
        self.odometer_ml += volume_ml
        return {
            "type": "unattributed_flow",
            "event_id": str(uuid4()),
            "cause": "closed_valve",
            "volume_ml": volume_ml,
            "duration_ms": volume_ml * MS_PER_ML,
            "card_uid": None,
            "age_ms": 0,
            "odometer_from_ml": from_ml,
            "odometer_to_ml": self.odometer_ml,
            "journal_id": self.journal_id,
            "boot_id": self.boot_id,
            **changes,
        }

    def state(self, **changes: object) -> dict[str, Any]:
        """Its state: idle, with nothing open."""
        return {
            "type": "node_state",
            "status": "online",
            "phase": "IDLE",
            "valve": "closed",
            "card": None,
            "pour_id": None,
            "facts_open": 0,
            "odometer_ml": self.odometer_ml,
            "journal_id": self.journal_id,
            "boot_id": self.boot_id,
            "connection": 1,
            "config_revision": 0,
            "software": SOFTWARE,
            "contract_version": "1.0",
            "uptime_ms": int(time.monotonic() * 1_000),
            **changes,
        }

    # ── saying it ─────────────────────────────────────────────────────────────

    @property
    def mark(self) -> int:
        """The place after everything heard so far."""
        return self._transcript.mark

    def send(self, leaf: str, payload: Mapping[str, Any] | bytes, *, retain: bool = False) -> None:
        """Publish on one of its topics."""
        self._connection.publish(self.path.topic(leaf), payload, retain=retain)

    def show(self, **changes: object) -> None:
        """Publish its state."""
        self.send("state", self.state(**changes), retain=True)

    def command(self, kind: str, mark: int, count: int = 1, within_s: float | None = None, **fields: object) -> dict[str, Any]:
        """Wait for the `count`-th command of a type with these values, from a mark on."""
        wanted = self._commands((kind,), fields)
        described = f"{kind} with {fields}" if fields else kind
        return self._transcript.wait(mark, wanted, within_s or self._answer_s, described, count).content

    def nothing_about(self, mark: int, kinds: tuple[str, ...], **fields: object) -> None:
        """Wait for a while, in which no such command may come; raises `Broken`."""
        time.sleep(self._quiet_s)
        if found := self._transcript.heard(mark, self._commands(kinds, fields)):
            raise Broken(f"there came {found[0].payload}")

    # ── questions and reports with their answers ──────────────────────────────

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Put a question; the answer, a grant or a denial."""
        mark = self.mark
        self.send("card", question)
        return self.answer(question, mark)

    def answer(self, question: Mapping[str, Any], mark: int, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`-th answer to a question, from a mark on."""
        wanted = self._commands(("pour_authorized", "pour_denied"), {"request_id": question["event_id"]})
        return self._transcript.wait(mark, wanted, self._answer_s, f"answer to question {question['event_id']}", count).content

    def answers(self, question: Mapping[str, Any], mark: int) -> list[Entry]:
        """All answers to a question so far."""
        wanted = self._commands(("pour_authorized", "pour_denied"), {"request_id": question["event_id"]})
        return self._transcript.heard(mark, wanted)

    def grant(self, card_uid: str, **changes: object) -> dict[str, Any]:
        """A card is laid on and granted; raises `Broken` when it is denied."""
        answer = self.ask(self.question(card_uid, **changes))
        if answer["type"] != "pour_authorized":
            raise Broken(f"a card that may pour was denied: {answer['reason']}")
        return answer

    def denied(self, question: Mapping[str, Any], reason: str) -> dict[str, Any]:
        """Put a question that must be denied for this reason; the denial."""
        answer = self.ask(question)
        if answer["type"] != "pour_denied":
            raise Broken(f"it was granted, and should have been denied as {reason}")
        if answer["reason"] != reason:
            raise Broken(f"it was denied as {answer['reason']}, and should have been as {reason}")
        return answer

    def deliver(self, report: Mapping[str, Any]) -> dict[str, Any]:
        """Send a report; its verdict."""
        mark = self.mark
        self.send("pour/completed", report)
        verdict = self.command("pour_settled", mark, pour_id=report["pour_id"])
        if verdict["outcome"] == FORBIDDEN_OUTCOME:
            raise Broken(f"there came the outcome {FORBIDDEN_OUTCOME}")
        return verdict

    def _commands(self, kinds: tuple[str, ...], fields: Mapping[str, object]) -> Callable[[Entry], bool]:
        topic = self.path.topic("command")
        return lambda entry: entry.topic == topic and entry.kind in kinds and fields.items() <= entry.content.items()
