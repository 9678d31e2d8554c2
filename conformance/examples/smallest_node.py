"""The smallest tap node that keeps the contract: paho and a file, for any board with Python. Read it beside docs/CONTRACT.md.

`hardware` has three methods: `card()` gives the id of the card on the reader or None, `ml()` the millilitres that the meter has
counted since the start, `valve(is_open)` drives the valve, which closes by itself without power.
"""

import json
import os
import time
import uuid
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

ROOT = "tapwire/v1/"
REQUEST_TIMEOUT_S, REPEAT_S, NO_CORE_S, HEARTBEAT_S, RETRY_S = 5.0, 1.0, 2.0, 24.0, 1.0
DEBOUNCE_S, TAIL_S, TAIL_QUIET_S, SETTLE_S, PROGRESS_S, CHECKPOINT_ML = 0.8, 3.0, 0.6, 2.0, 0.25, 20
LEAK_ML, LEAK_QUIET_S, LEAK_S = 5, 2.0, 60.0
LIMITS = {"max_volume_ml": int, "max_duration_ms": int, "idle_timeout_ms": int}
FIELDS: dict[str, dict[str, type]] = {
    "pour_authorized": {"request_id": str, "pour_id": str, "card_uid": str, **LIMITS},
    "pour_denied": {"request_id": str},
    "pour_settled": {"pour_id": str},
    "flow_recorded": {"event_id": str},
    "stop_pour": {"pour_id": str},
    "report_pour": {"pour_id": str, "journal_id": str},
    "renew_journal": {"journal_id": str},
    "tap_config": {"status": str, "revision": int, "pulses_per_liter": int, "max_pour_ml": int},
}
Message = dict[str, Any]


def read(payload: bytes) -> Message:
    """A message that has all fields of its type, and no number below 1; else an empty one."""
    try:
        said = json.loads(payload)
        fields = FIELDS[said["type"]]
        is_good = all(type(said[name]) is kind and (kind is str or said[name] > 0) for name, kind in fields.items())
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return dict(said) if is_good else {}


class Node:
    """One tap. `step` does a moment's work; call it every 10 ms or so."""

    def __init__(self, path: str, broker: tuple[str, int], password: str, hardware: Any, file: str) -> None:
        hardware.valve(False)
        self.path, self.broker, self.password, self.hardware, self.file = path, broker, password, hardware, file
        self.boot_id, self.began, self.connection = str(uuid.uuid4()), time.monotonic(), 0
        self.journal: Message = {"id": str(uuid.uuid4()), "seq": 0, "ml": 0, "renews": False, "config": {}, "pour": None}
        self.journal |= {"facts": {}, "open": []}  # by id; and the ids of those without a verdict
        self.at, self.told = dict[str, float](), dict[str, float]()  # when each thing happened, and each fact was sent last
        self.client: mqtt.Client | None = None
        self.inbox = SimpleQueue[tuple[str, bytes, bool]]()
        self.cores: set[str] | None = None  # the core workers; None until one was heard
        self.online, self.shown, self.valve, self.stopped = False, dict[str, Any](), "closed", ""
        self.card: str | None = None
        self.question, self.asked = {"event_id": "", "card_uid": "00000000"}, set[str]()
        self.answer: Message | None = None  # a grant; empty: a denial
        self.metered_ml, self.saved_ml, self.leak_ml, self.phase, self.guests = 0, 0, None, "OUT_OF_SERVICE", self.serve()
        if os.path.exists(file):
            with open(file) as kept:
                self.journal = json.load(kept)
        self.is_active = self.journal["config"].get("status") == "active"
        if self.journal["pour"]:
            self.end(self.journal["pour"], "power_loss")
            self.at.clear()  # nobody knows how long the power was away

    def step(self) -> None:
        """The tap first, then the network."""
        self.count()
        self.look()
        if not self.inbox.empty():
            self.hear(*self.inbox.get())
        next(self.guests)
        if self.online:
            self.speak()
        elif not self.client and self.since("connected") > RETRY_S:
            self.connect()

    def since(self, what: str) -> float:
        """Seconds since something happened last; endless if it never did."""
        return time.monotonic() - self.at.get(what, float("-inf"))

    def now(self, *what: str) -> None:
        """These things happen now."""
        self.at.update(dict.fromkeys(what, time.monotonic()))

    # ── the journal: a file with what a power cut must not take away ──────────

    def save(self) -> None:
        """Write all of it; returns when the disk has it."""
        self.saved_ml = self.journal["ml"]
        with open(self.file + ".new", "w") as kept:
            json.dump(self.journal, kept)
            kept.flush()
            os.fsync(kept.fileno())
        os.rename(self.file + ".new", self.file)

    def write(self, fact_id: str, from_ml: int, fact: Message) -> None:
        """Keep a fact; it is sent until its verdict has come, and its id is known for ever."""
        ml, self.journal["facts"][fact_id] = self.journal["ml"], fact
        fact |= {"volume_ml": ml - from_ml, "odometer_from_ml": from_ml, "odometer_to_ml": ml, "journal_id": self.journal["id"]}
        self.journal["open"].append(fact_id)
        self.now(f"end of {fact_id}")
        self.save()

    def new_pour(self, said: Message) -> Message:
        """A pour that begins here."""
        return {"card_uid": self.question["card_uid"], **said, "from_ml": self.journal["ml"], "ms": 0, "boot_id": self.boot_id}

    def end(self, pour: Message, end_reason: str) -> None:
        """Write a pour's one report; what never started never can."""
        self.journal["pour"] = None if pour is self.journal["pour"] else self.journal["pour"]
        report = {name: pour[name] for name in ("pour_id", "card_uid", "boot_id")} | {"duration_ms": pour["ms"], "started_at": None}
        report |= {"type": "pour_completed", "end_reason": end_reason, "interrupted": end_reason == "power_loss"}
        self.write(pour["pour_id"], pour["from_ml"], report)

    # ── the tap ───────────────────────────────────────────────────────────────

    def count(self) -> None:
        """The odometer. What flows without a pour is a leak, written down when it pauses or has lasted long."""
        ml = self.hardware.ml()
        more, self.metered_ml = ml - self.metered_ml, ml
        if more and self.phase != "POURING" and self.leak_ml is None:
            self.leak_ml = self.journal["ml"]
            self.now("leak")
        if more:
            self.journal["ml"] += more
            self.now("flowed")
        if self.journal["ml"] - self.saved_ml >= CHECKPOINT_ML:
            self.save()
        if self.since("flowed") > LEAK_QUIET_S or self.since("leak") > LEAK_S:
            self.end_leak()

    def end_leak(self) -> None:
        """A few drops are no leak."""
        from_ml, self.leak_ml = self.leak_ml, None
        if from_ml is not None and self.journal["ml"] - from_ml >= LEAK_ML:
            leak = {"type": "unattributed_flow", "event_id": str(uuid.uuid4()), "cause": "closed_valve", "card_uid": None}
            leak |= {"boot_id": self.boot_id, "duration_ms": int((self.at["flowed"] - self.at["leak"]) * 1000)}
            self.write(leak["event_id"], from_ml, leak)

    def look(self) -> None:
        """The card on the reader; it is gone when it was not seen for the debounce time."""
        seen = self.hardware.card()
        if seen:
            self.now("seen")
        if seen == self.card or (not seen and self.since("seen") < DEBOUNCE_S):
            return
        if self.card:
            self.say("card", {"type": "card_removed", "removed_at": "", **self.event(self.card)})
        self.card = seen

    def event(self, card_uid: str) -> Message:
        """What each event at the reader says."""
        return {"event_id": str(uuid.uuid4()), "card_uid": card_uid, "reader_id": "tap", "boot_id": self.boot_id}

    def serve(self) -> Iterator[None]:
        """One guest after another, each from the card on to the card off; at a `yield` a moment passes."""
        journal = self.journal
        while True:
            self.phase = "OUT_OF_SERVICE" if not self.is_active else "CARD_MUST_BE_REMOVED" if self.card else "IDLE"
            if journal["renews"] and self.leak_ml is None:
                journal.update(id=str(uuid.uuid4()), seq=0, renews=False)
                self.save()
            yield
            is_alone = self.cores == set() and self.since("cores") > NO_CORE_S
            if self.phase == "IDLE" and self.card and self.online and not is_alone:
                yield from self.ask(self.card)
            if self.answer:
                yield from self.pour(self.new_pour(self.answer))

    def ask(self, card: str) -> Iterator[None]:
        """A card is a question, repeated until it is answered, too late, or without its card."""
        journal, self.phase, self.answer = self.journal, "AUTHORIZING", None
        journal["seq"] += 1
        self.save()  # a number is never used twice
        unsettled = [each for each in journal["open"] if "pour_id" in journal["facts"][each]]
        named = {"read_at": "", "journal_id": journal["id"], "seq": journal["seq"], "unsettled": unsettled}
        self.question = {"type": "card_presented", **self.event(card), **named}
        self.asked.add(self.question["event_id"])
        self.now("asked")
        while self.answer is None and self.card == card and self.since("asked") < REQUEST_TIMEOUT_S:
            if self.since("said") > REPEAT_S or self.at["said"] < self.at["asked"]:
                self.say("card", self.question)
                self.now("said")
            yield

    def is_good(self, grant: Message) -> bool:
        """Every condition of an open valve."""
        is_answer = self.phase == "AUTHORIZING" and grant["request_id"] == self.question["event_id"]
        is_card = grant["card_uid"] == self.question["card_uid"] == self.card
        return is_answer and is_card and self.is_active and self.since("asked") < REQUEST_TIMEOUT_S

    def pour(self, pour: Message) -> Iterator[None]:
        """Written down before the valve opens, and judged again when the disk has it; then until the first reason to close."""
        self.answer = None
        self.end_leak()
        self.journal["pour"] = pour
        self.save()
        self.look()
        reason = None if self.is_good(pour) else "never_started"
        if not reason:
            self.phase, self.valve = "POURING", "open"
            self.now("opened", "flowed", "progress")
            self.hardware.valve(True)
        while not reason:
            yield
            volume_ml, pour["ms"] = self.journal["ml"] - pour["from_ml"], int(self.since("opened") * 1000)
            ends = {
                "card_removed": self.card != pour["card_uid"],
                "stopped": self.stopped == pour["pour_id"],
                "disabled": not self.is_active,
                "limit": volume_ml >= pour["max_volume_ml"],
                "max_duration": pour["ms"] >= pour["max_duration_ms"],
                "no_flow": self.since("flowed") * 1000 >= pour["idle_timeout_ms"],
            }
            reason = next((each for each, is_so in ends.items() if is_so), None)
            if not reason and self.since("progress") > PROGRESS_S:
                self.now("progress")
                progress = {"pour_id": pour["pour_id"], "volume_ml": volume_ml, "elapsed_ms": pour["ms"]}
                self.say("pour/progress", {"type": "pour_progress", **progress}, qos=0)
        self.hardware.valve(False)
        if self.valve == "open":
            self.valve = "closed"
            self.now("closed")
            while self.since("flowed") < TAIL_QUIET_S and self.since("closed") < TAIL_S:
                yield
        self.end(pour, reason)
        self.phase = "SETTLING"
        while pour["pour_id"] in self.journal["open"] and self.since(f"end of {pour['pour_id']}") < SETTLE_S:
            yield

    # ── what the core says ────────────────────────────────────────────────────

    def hear(self, topic: str, payload: bytes, retain: bool) -> None:
        """Take one event of the connection; a retained command is no order."""
        if topic in ("up", "down"):
            self.online, self.shown, self.cores = topic == "up", {}, None
            self.told.clear()
            if self.client and self.online:
                wanted = (f"{self.path}/command", f"{self.path}/config", "core/+/state")
                self.client.subscribe([(ROOT + each, 1) for each in wanted])
            else:
                self.client = None
        elif topic.endswith("/state"):
            known = self.cores or set()
            if payload and topic not in known:
                self.told.clear()  # a new worker hears what is open
            self.cores = known | {topic} if payload else known - {topic}
            self.now("cores")
        elif topic.endswith("/config") and payload:
            self.configure(read(payload))
        elif not retain and (said := read(payload)):
            self.obey(said)

    def configure(self, said: Message) -> None:
        """A status other than active always counts, all else only under a revision that is not older; unreadable is closed."""
        if said and (said["status"] != "active" or said["revision"] >= self.journal["config"].get("revision", 0)):
            self.journal["config"] = said
            self.save()
        self.is_active = bool(said) and self.journal["config"].get("status") == "active"

    def obey(self, said: Message) -> None:
        """Carry out a command; any number of times, in any order."""
        kind, facts, pour_id, fact_id = said["type"], self.journal["facts"], said.get("pour_id"), said.get("event_id")
        runs = bool(self.journal["pour"]) and self.journal["pour"]["pour_id"] == pour_id
        if kind == "pour_authorized" and not runs and pour_id not in facts and said["request_id"] in self.asked:
            if self.is_good(said):
                self.answer = said
            else:
                self.end(self.new_pour(said), "never_started")
        elif kind == "pour_denied" and said["request_id"] == self.question["event_id"] and not self.answer:
            self.answer = {}
        elif kind in ("pour_settled", "flow_recorded") and (pour_id or fact_id) in self.journal["open"]:
            self.journal["open"].remove(pour_id or fact_id)
            self.save()
        elif kind == "stop_pour" and runs:
            self.stopped = str(pour_id)
        elif kind == "stop_pour" and pour_id not in facts:
            facts[pour_id] = {}  # dead, when its grant comes
            self.save()
        elif kind == "report_pour" and runs:
            self.shown = {}
        elif kind == "report_pour" and facts.get(pour_id):
            self.tell(str(pour_id))
        elif kind == "report_pour" and said["journal_id"] != self.journal["id"]:
            self.say("pour/completed", {**said, "type": "pour_unknown"})
        elif kind == "report_pour":
            self.end(self.new_pour(said), "never_started")
        elif kind == "renew_journal" and said["journal_id"] == self.journal["id"]:
            self.journal["renews"] = True  # at rest
            self.save()

    # ── what the node says ────────────────────────────────────────────────────

    def connect(self) -> None:
        """Begin a connection by a new client: nothing of the last one is sent again. Its thread only fills the inbox."""
        self.connection += 1
        self.now("connected")
        self.inbox = inbox = SimpleQueue[tuple[str, bytes, bool]]()
        self.client = client = mqtt.Client(CallbackAPIVersion.VERSION2, self.path, reconnect_on_failure=False)
        client.username_pw_set(self.path, self.password)
        client.will_set(f"{ROOT}{self.path}/state", json.dumps(self.state("offline")), qos=1, retain=True)
        client.on_connect = lambda *_: inbox.put(("up", b"", False))
        client.on_disconnect = lambda *_: inbox.put(("down", b"", False))
        client.on_connect_fail = lambda *_: inbox.put(("down", b"", False))
        client.on_message = lambda _client, _data, said: inbox.put((said.topic, bytes(said.payload), said.retain))
        client.connect_async(*self.broker)
        client.loop_start()

    def say(self, leaf: str, message: Message, retain: bool = False, qos: int = 1) -> None:
        """Publish, if there is a connection."""
        if self.client and self.online:
            self.client.publish(f"{ROOT}{self.path}/{leaf}", json.dumps(message), qos=qos, retain=retain)

    def tell(self, fact_id: str) -> None:
        """Send a fact; only its age changes, which only the boot knows that wrote it."""
        self.told[fact_id] = time.monotonic()
        fact, ended = self.journal["facts"][fact_id], self.at.get(f"end of {fact_id}")
        age_ms = None if ended is None else int((time.monotonic() - ended) * 1000)
        self.say("pour/completed" if "pour_id" in fact else "flow", {**fact, "age_ms": age_ms})

    def speak(self) -> None:
        """Say the state when it has changed, and as a heartbeat; and each fact again until its verdict has come."""
        state = self.state("online")
        shown = {**state, "uptime_ms": 0, "odometer_ml": 0}
        if shown != self.shown or self.since("shown") > HEARTBEAT_S:
            self.shown = shown
            self.now("shown")
            self.say("state", state, retain=True)
        for fact_id in self.journal["open"]:
            if time.monotonic() - self.told.get(fact_id, float("-inf")) > REPEAT_S:
                self.tell(fact_id)

    def state(self, status: str) -> Message:
        """What everybody may know."""
        journal = self.journal
        return {
            "type": "node_state", "status": status, "phase": self.phase, "valve": self.valve, "boot_id": self.boot_id,
            "card": {"card_uid": self.card, "reader_id": "tap", "read_at": ""} if self.card else None, "journal_id": journal["id"],
            "pour_id": (journal["pour"] or {}).get("pour_id"), "facts_open": len(journal["open"]) + bool(journal["pour"]),
            "odometer_ml": journal["ml"], "connection": self.connection, "config_revision": journal["config"].get("revision", 0),
            "uptime_ms": int((time.monotonic() - self.began) * 1000), "heartbeat_ms": int(HEARTBEAT_S * 1250),
            "software": "smallest-node 2", "contract_version": "1.0",
        }  # fmt: skip
