"""The smallest node's journal: one JSON file, written whole and synced before anything follows from it.

It holds what a power cut must not take away: the odometer, the count of questions, the pour that runs, every fact until its
verdict, and the ids of pours for ever. A PLC keeps the same in its retentive memory.
"""

import json
import os
import time
from typing import Any

Message = dict[str, Any]


def new_id() -> str:
    """A UUID of random bytes; MicroPython has no module for it."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


class Journal:
    """What is on the disk. `boot_id` is new with each start."""

    def __init__(self, file: str) -> None:
        self.file, self.boot_id, self.ended = file, new_id(), dict[str, float]()
        self.id, self.seq, self.ml, self.renew = new_id(), 0, 0, False
        self.facts, self.settled, self.dead = dict[str, Message](), list[str](), list[str]()
        self.pour: Message | None = None
        self.config: Message | None = None
        if os.path.exists(file):
            with open(file) as opened:
                vars(self).update(json.load(opened))
        if self.pour:  # the power went away while it poured
            self.report("power_loss", interrupted=True)
        self.save()

    def save(self) -> None:
        """Write everything, and wait for the disk."""
        kept = ("id", "seq", "ml", "renew", "facts", "settled", "dead", "pour", "config")
        with open(self.file + ".new", "w") as opened:
            json.dump({name: getattr(self, name) for name in kept}, opened)
            opened.flush()
            os.fsync(opened.fileno())
        os.rename(self.file + ".new", self.file)

    def next_seq(self) -> int:
        """The number of a new question, on the disk before it leaves."""
        self.seq += 1
        self.save()
        return self.seq

    def begin(self, grant: Message) -> None:
        """A pour that may run."""
        self.pour = {**grant, "from_ml": self.ml, "ms": 0, "boot_id": self.boot_id}
        self.save()

    def report(self, end_reason: str, interrupted: bool = False) -> None:
        """The one report of the pour that was begun."""
        assert self.pour
        pour, self.pour = self.pour, None
        self.write(pour["pour_id"], {
            "type": "pour_completed", "pour_id": pour["pour_id"], "card_uid": pour["card_uid"], "started_at": None,
            "duration_ms": pour["ms"], "end_reason": end_reason, "interrupted": interrupted, "boot_id": pour["boot_id"],
            **self.stretch(pour["from_ml"]),
        })  # fmt: skip

    def refuse(self, pour_id: str, card_uid: str) -> None:
        """A pour that never started, and from now on never can; one that runs goes on."""
        running = self.pour
        self.pour = {"pour_id": pour_id, "card_uid": card_uid, "from_ml": self.ml, "ms": 0, "boot_id": self.boot_id}
        self.report("never_started")
        self.pour = running
        self.save()

    def leak(self, from_ml: int, duration_s: float) -> None:
        """What flowed without a pour."""
        event_id = new_id()
        self.write(event_id, {
            "type": "unattributed_flow", "event_id": event_id, "cause": "closed_valve", "card_uid": None,
            "duration_ms": int(duration_s * 1000), "boot_id": self.boot_id, **self.stretch(from_ml),
        })  # fmt: skip

    def stretch(self, from_ml: int) -> Message:
        """A fact's part of the odometer, and whose it is."""
        return {
            "volume_ml": self.ml - from_ml, "odometer_from_ml": from_ml, "odometer_to_ml": self.ml, "journal_id": self.id,
            "age_ms": None,
        }  # fmt: skip

    def write(self, fact_id: str, fact: Message) -> None:
        """A fact stays until its verdict, and its id for ever."""
        self.facts[fact_id], self.ended[fact_id] = fact, time.monotonic()
        self.save()

    def settle(self, fact_id: str) -> None:
        """The verdict of a fact has come."""
        if fact_id in self.facts and fact_id not in self.settled:
            self.settled.append(fact_id)
            self.save()

    def bury(self, pour_id: str) -> None:
        """A pour that is not known, and can never start."""
        if pour_id not in self.facts and pour_id not in self.dead:
            self.dead.append(pour_id)
            self.save()

    def knows(self, pour_id: str) -> bool:
        """True if a grant of this pour says nothing new."""
        return pour_id in self.facts or pour_id in self.dead or self.runs(pour_id)

    def runs(self, pour_id: str) -> bool:
        """True if this is the pour that runs."""
        return self.pour is not None and self.pour["pour_id"] == pour_id

    def open_facts(self) -> list[str]:
        """The facts without a verdict."""
        return [each for each in self.facts if each not in self.settled]

    def aged(self, fact_id: str) -> Message:
        """A fact with its age, which is known only in the boot that wrote it."""
        age_s = None if self.facts[fact_id].get("interrupted") else self.ended.get(fact_id)
        return {**self.facts[fact_id], "age_ms": None if age_s is None else int((time.monotonic() - age_s) * 1000)}

    def begin_anew(self) -> None:
        """A new journal, as the core wants it: facts keep the id under which they flowed."""
        self.id, self.seq, self.renew = new_id(), 0, False
        self.save()
