"""The smallest tap node that keeps the contract: paho and a file, for any board with Python. Read it beside docs/CONTRACT.md.

`hardware` has three methods: `card()` gives the id of the card on the reader or None, `ml()` the millilitres that the meter has
counted since the start, `valve(is_open)` drives the valve, which closes by itself without power. What a power cut must not take
away is in `journal.py`.
"""

import json
import queue
import time
from typing import Any, Protocol

import paho.mqtt.client as mqtt
from journal import Journal, Message, new_id
from paho.mqtt.enums import CallbackAPIVersion

ROOT = "tapwire/v1/"
REQUEST_TIMEOUT_S, REPEAT_S, DEBOUNCE_S, TAIL_S, TAIL_QUIET_S, SETTLE_S, LEAK_ML, LEAK_QUIET_S = (
    5.0,
    1.0,
    0.8,
    3.0,
    0.6,
    2.0,
    5,
    2.0,
)
CHECKPOINT_ML, NO_CORE_S, HEARTBEAT_S, PROGRESS_S = 20, 2.0, 30.0, 0.25
GRANT = {"request_id": str, "pour_id": str, "card_uid": str, "max_volume_ml": int, "max_duration_ms": int, "idle_timeout_ms": int}
CONFIG = {"status": str, "revision": int, "pulses_per_liter": int, "max_pour_ml": int, "currency": str, "locale": str}


class Hardware(Protocol):
    """The tap."""

    def card(self) -> str | None: ...
    def ml(self) -> int: ...
    def valve(self, is_open: bool) -> None: ...


def fits(message: Message, fields: dict[str, type]) -> bool:
    """True if a message has all these fields, of these types, and no negative number."""
    return all(type(message.get(name)) is kind and (kind is str or message[name] > 0) for name, kind in fields.items())


class Node:
    """One tap. `step` does a moment's work; call it every 10 ms or so."""

    def __init__(self, path: str, host: str, port: int, username: str, password: str, hardware: Hardware, file: str) -> None:
        self.path, self.broker, self.login, self.hardware = path, (host, port), (username, password), hardware
        self.set_valve(False)
        self.journal, self.began, self.phase = Journal(file), time.monotonic(), "IDLE"
        self.client: mqtt.Client | None = None
        self.online, self.connection, self.retry_at, self.retries = False, 0, 0.0, True
        self.events: queue.SimpleQueue[tuple[mqtt.Client, str, bytes, bool]] = queue.SimpleQueue()
        self.cores: set[str] | None = None
        self.shown: Message | None = None
        self.card: str | None = None
        self.question: Message = {"event_id": None, "card_uid": "00000000"}
        self.asked_ids, self.due, self.readable, self.reason, self.last = set[str](), dict[str, float](), True, "", ""
        self.alone_since = self.seen_at = self.asked_at = self.again_at = self.opened_at = self.closed_at = self.flowed_at = 0.0
        self.settling_at = self.shown_at = self.progress_at = self.leak_at = 0.0
        self.before_ml, self.saved_ml, self.leak_from = 0, 0, -1

    # ── the broker: a new client for each connection, so that no old question is sent by it ───────────────────────────────────────

    def connect(self) -> None:
        """Begin a connection; its thread only fills `events`, so that the valve never waits for the network."""
        self.connection += 1
        client = mqtt.Client(CallbackAPIVersion.VERSION2, self.path, reconnect_on_failure=False)
        client.username_pw_set(*self.login)
        client.will_set(f"{ROOT}{self.path}/state", json.dumps(self.state("offline")), qos=1, retain=True)
        client.on_connect = lambda *_: self.events.put((client, "up", b"", False))
        client.on_disconnect = lambda *_: self.events.put((client, "down", b"", False))
        client.on_connect_fail = lambda *_: self.events.put((client, "down", b"", False))
        client.on_message = lambda _client, _data, said: self.events.put((client, said.topic, bytes(said.payload), said.retain))
        client.connect_async(*self.broker)
        client.loop_start()
        self.client, self.retries = client, False

    def say(self, leaf: str, message: Message, retain: bool = False, qos: int = 1) -> None:
        """Publish, if there is a connection."""
        if self.online and self.client:
            self.client.publish(f"{ROOT}{self.path}/{leaf}", json.dumps(message), qos=qos, retain=retain)

    def state(self, status: str = "online") -> Message:
        """What everybody may know."""
        journal, pour = self.journal, self.journal.pour
        return {
            "type": "node_state", "status": status, "phase": self.phase, "valve": "open" if self.valve_open else "closed",
            "card": self.card and {"card_uid": self.card, "reader_id": "tap", "read_at": ""}, "pour_id": pour and pour["pour_id"],
            "facts_open": len(journal.open_facts()) + bool(pour), "odometer_ml": journal.ml, "journal_id": journal.id,
            "boot_id": journal.boot_id, "connection": self.connection, "config_revision": (journal.config or {}).get("revision", 0),
            "software": "smallest-node 1", "contract_version": "1.0", "uptime_ms": int((time.monotonic() - self.began) * 1000),
            "heartbeat_ms": int(HEARTBEAT_S * 1000),
        }  # fmt: skip

    def show(self, now: float) -> None:
        """Publish the state when it has changed, and as a heartbeat."""
        shown = {**self.state(), "uptime_ms": 0, "odometer_ml": 0 if self.phase == "POURING" else self.journal.ml}
        if self.online and (shown != self.shown or now - self.shown_at > HEARTBEAT_S * 0.8):
            self.shown, self.shown_at = shown, now
            self.say("state", self.state(), retain=True)

    def say_fact(self, fact_id: str) -> None:
        """Send a fact, and again later; only its age changes."""
        fact = self.journal.aged(fact_id)
        self.say("flow" if fact["type"] == "unattributed_flow" else "pour/completed", fact)
        self.due[fact_id] = time.monotonic() + REPEAT_S

    # ── what the core says ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def hear(self, client: mqtt.Client, topic: str, payload: bytes, retain: bool) -> None:
        """Take one event of the connection."""
        if client is not self.client:
            return
        if topic in ("up", "down"):
            self.online, self.shown, self.cores = topic == "up", None, None
            self.due.clear()
            if self.online:
                client.subscribe([(f"{ROOT}{self.path}/command", 1), (f"{ROOT}{self.path}/config", 1), (f"{ROOT}core/+/state", 1)])
            else:
                self.retries, self.retry_at = True, time.monotonic() + REPEAT_S
            return
        try:
            said = json.loads(payload) if payload else {}
        except (ValueError, RecursionError):
            said = {}
        if topic.endswith("/state"):
            if payload and topic not in (self.cores or ()):  # a new worker hears what is open
                self.due.clear()
            self.cores = (self.cores or set()) | {topic} if payload else (self.cores or set()) - {topic}
            self.alone_since = time.monotonic()
        elif topic.endswith("/config") and payload:
            self.configure(said)
        elif topic.endswith("/command") and isinstance(said, dict) and not retain:  # a retained command is no command
            if not all(isinstance(said.get(name, ""), str) for name in ("pour_id", "request_id", "event_id", "journal_id")):
                return
            acts = {
                "pour_authorized": self.grant, "pour_denied": self.deny, "pour_settled": self.settle, "stop_pour": self.stop,
                "flow_recorded": self.settle, "report_pour": self.find, "renew_journal": self.renew,
            }  # fmt: skip
            acts.get(str(said.get("type")), lambda _: None)(said)

    def configure(self, said: Any) -> None:
        """A status other than active counts always, all else only with a revision that is not older; unreadable is closed."""
        self.readable = isinstance(said, dict) and fits(said, CONFIG)
        before = self.journal.config
        if self.readable and (not before or said["revision"] >= before["revision"] or said["status"] != "active"):
            self.journal.config = said
            self.journal.save()

    def may_pour(self) -> bool:
        """True if the tap is in service."""
        return self.readable and (self.journal.config or {}).get("status") == "active"

    def grant(self, said: Message) -> None:
        """The one message that may open the valve."""
        if not fits(said, GRANT) or self.journal.knows(said["pour_id"]) or said["request_id"] not in self.asked_ids:
            return
        if not self.is_good(said):
            self.journal.refuse(said["pour_id"], said["card_uid"])
            return
        self.journal.begin(said)
        if not self.is_good(said):  # the disk may have been slow
            self.journal.report("never_started")
            return
        self.phase, self.saved_ml, self.opened_at = "POURING", 0, time.monotonic()
        self.flowed_at = self.progress_at = self.opened_at
        self.set_valve(True)

    def is_good(self, said: Message) -> bool:
        """Every condition of an open valve."""
        return (
            self.phase == "AUTHORIZING" and said["request_id"] == self.question["event_id"] and self.may_pour()
            and said["card_uid"] == self.question["card_uid"] == self.card and time.monotonic() - self.asked_at < REQUEST_TIMEOUT_S
        )  # fmt: skip

    def deny(self, said: Message) -> None:
        """Any reason is a no."""
        if self.phase == "AUTHORIZING" and said.get("request_id") == self.question["event_id"]:
            self.phase = "CARD_MUST_BE_REMOVED"

    def settle(self, said: Message) -> None:
        """Any verdict is a verdict."""
        self.journal.settle(said.get("pour_id") or said.get("event_id") or "")

    def stop(self, said: Message) -> None:
        """End the pour, or make an unknown id dead."""
        if self.journal.runs(said.get("pour_id", "")):
            self.close("stopped")
        elif said.get("pour_id"):
            self.journal.bury(said["pour_id"])

    def find(self, said: Message) -> None:
        """Say again what became of a pour."""
        pour_id, journal_id = said.get("pour_id"), said.get("journal_id")
        if not pour_id or not journal_id:
            return
        if self.journal.runs(pour_id):
            self.shown = None
        elif pour_id in self.journal.facts:
            self.say_fact(pour_id)
        elif journal_id != self.journal.id:
            self.say("pour/completed", {"type": "pour_unknown", "pour_id": pour_id, "journal_id": journal_id})
        else:
            self.journal.refuse(pour_id, self.question["card_uid"])

    def renew(self, said: Message) -> None:
        """This journal was set back: a new one begins as soon as nothing flows and nothing is asked."""
        if said.get("journal_id") == self.journal.id:
            self.journal.renew = True
            self.journal.save()

    # ── the tap ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def set_valve(self, is_open: bool) -> None:
        """The valve first, then everything else."""
        self.hardware.valve(is_open)
        self.valve_open = is_open

    def close(self, reason: str) -> None:
        """Close, and wait for the tail."""
        if self.valve_open:
            self.set_valve(False)
            self.reason, self.closed_at = reason, time.monotonic()

    def step(self) -> None:
        """Do what is due now."""
        now = time.monotonic()
        self.count(now)
        self.look(now)
        while not self.events.empty():
            self.hear(*self.events.get())
        if self.retries and now >= self.retry_at:
            self.connect()
        if self.phase == "AUTHORIZING":
            self.ask_again(now)
        elif self.phase == "POURING":
            self.pour(now)
        elif self.phase == "SETTLING" and (self.last not in self.journal.open_facts() or now - self.settling_at > SETTLE_S):
            self.phase = "CARD_MUST_BE_REMOVED"
        if self.phase == "OUT_OF_SERVICE" and self.may_pour():
            self.phase = "CARD_MUST_BE_REMOVED"
        if self.phase == "CARD_MUST_BE_REMOVED" and not self.card:
            self.phase = "IDLE"
        if self.phase in ("IDLE", "CARD_MUST_BE_REMOVED") and not self.may_pour():
            self.phase = "OUT_OF_SERVICE"
        if self.journal.renew and self.phase in ("IDLE", "OUT_OF_SERVICE") and self.leak_from < 0:
            self.journal.begin_anew()
        self.show(now)
        for fact_id in [each for each in self.journal.open_facts() if now >= self.due.get(each, 0)]:
            self.say_fact(fact_id)

    def look(self, now: float) -> None:
        """The card on the reader; it is gone when it was not seen for the debounce time."""
        card = self.hardware.card()
        if card:
            self.seen_at = now
            if self.card and card != self.card:
                self.close("card_removed")
                self.phase = "POURING" if self.phase == "POURING" else "CARD_MUST_BE_REMOVED"
                self.card = card
            elif not self.card:
                self.card = card
                self.arrived(now)
        elif self.card and now - self.seen_at > DEBOUNCE_S:
            removed = {"type": "card_removed", "event_id": new_id(), "card_uid": self.card, "reader_id": "tap", "removed_at": "",
                       "boot_id": self.journal.boot_id}  # fmt: skip
            self.card = None
            self.close("card_removed")
            self.phase = "IDLE" if self.phase == "AUTHORIZING" else self.phase
            self.say("card", removed)

    def arrived(self, now: float) -> None:
        """A card is a question, if anybody can answer it."""
        is_alone = self.cores == set() and now - self.alone_since > NO_CORE_S
        if self.phase != "IDLE" or not self.online or is_alone:
            self.phase = self.phase if self.phase in ("POURING", "SETTLING", "OUT_OF_SERVICE") else "CARD_MUST_BE_REMOVED"
            return
        unsettled = [each for each in self.journal.open_facts() if self.journal.facts[each]["type"] == "pour_completed"]
        self.question = {
            "type": "card_presented", "event_id": new_id(), "card_uid": self.card, "reader_id": "tap", "read_at": "",
            "boot_id": self.journal.boot_id, "journal_id": self.journal.id, "seq": self.journal.next_seq(), "unsettled": unsettled,
        }  # fmt: skip
        self.asked_ids.add(self.question["event_id"])
        self.phase, self.asked_at, self.again_at = "AUTHORIZING", now, 0

    def ask_again(self, now: float) -> None:
        """Until it is answered, or too late."""
        if now - self.asked_at > REQUEST_TIMEOUT_S:
            self.phase = "CARD_MUST_BE_REMOVED"
        elif now >= self.again_at:
            self.again_at = now + REPEAT_S
            self.say("card", self.question)

    def count(self, now: float) -> None:
        """The odometer, and what flows without a pour."""
        ml = self.hardware.ml()
        more, self.before_ml = ml - self.before_ml, ml
        if more:
            self.journal.ml += more
            self.flowed_at = now
            if self.phase != "POURING" and self.leak_from < 0:
                self.leak_from, self.leak_at = self.journal.ml - more, now
        if self.leak_from >= 0 and now - self.flowed_at > LEAK_QUIET_S:
            from_ml, self.leak_from = self.leak_from, -1
            if self.journal.ml - from_ml >= LEAK_ML:
                self.journal.leak(from_ml, self.flowed_at - self.leak_at)
            self.journal.save()

    def pour(self, now: float) -> None:
        """Close when one of the limits is reached; when the tail is over, write the report."""
        pour = self.journal.pour
        assert pour
        volume_ml, pour["ms"] = self.journal.ml - pour["from_ml"], max(0, int((now - self.opened_at) * 1000))
        if not self.may_pour():
            self.close("disabled")
        elif volume_ml >= pour["max_volume_ml"]:
            self.close("limit")
        elif pour["ms"] >= pour["max_duration_ms"]:
            self.close("max_duration")
        elif now - self.flowed_at > pour["idle_timeout_ms"] / 1000:
            self.close("no_flow")
        if volume_ml - self.saved_ml >= CHECKPOINT_ML:
            self.saved_ml = volume_ml
            self.journal.save()
        if now - self.progress_at > PROGRESS_S:
            self.progress_at = now
            progress = {"type": "pour_progress", "pour_id": pour["pour_id"], "volume_ml": volume_ml, "elapsed_ms": pour["ms"]}
            self.say("pour/progress", progress, qos=0)
        if not self.valve_open and (now - self.flowed_at > TAIL_QUIET_S or now - self.closed_at > TAIL_S):
            self.last, self.settling_at, self.phase = pour["pour_id"], now, "SETTLING"
            self.journal.report(self.reason)
