"""The smallest tap node that keeps the contract: paho and a file, for any board with Python. Read it beside docs/CONTRACT.md.

`hardware` has three methods: `card()` gives the id of the card on the reader or None, `ml()` the millilitres that the meter has
counted since the start, `valve(is_open)` drives the valve, which closes by itself without power.
"""

import json
import os
import queue
import time

import paho.mqtt.client as mqtt

ROOT = "tapwire/v1/"
REQUEST_TIMEOUT_S, REPEAT_S, DEBOUNCE_S, TAIL_S, TAIL_QUIET_S, SETTLE_S, LEAK_ML, LEAK_QUIET_S = 5, 1, 0.8, 3, 0.6, 2, 5, 2
CHECKPOINT_ML, NO_CORE_S = 20, 2
GRANT = {"request_id": str, "pour_id": str, "card_uid": str, "max_volume_ml": int, "max_duration_ms": int, "idle_timeout_ms": int}
CONFIG = {"status": str, "revision": int, "pulses_per_liter": int, "max_pour_ml": int, "currency": str, "locale": str}


def new_id():
    """A UUID of random bytes; MicroPython has no module for it."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


def fits(message, fields):
    """True if a message has all these fields, of these types, and no negative number."""
    return all(type(message.get(name)) is kind and (kind is str or message[name] > 0) for name, kind in fields.items())


class Node:
    """One tap. `step` does a moment's work; call it every 10 ms or so."""

    def __init__(self, path, host, port, username, password, hardware, file):
        self.path, self.broker, self.login, self.hardware, self.file = path, (host, port), (username, password), hardware, file
        self.boot_id, self.began, self.phase, self.valve_open = new_id(), time.monotonic(), "IDLE", False
        self.client, self.online, self.connection, self.retry_at = None, False, 0, 0
        self.events, self.cores, self.alone_since, self.shown = queue.SimpleQueue(), None, 0, None
        self.card, self.seen_at = None, 0
        self.question, self.asked_at, self.asked_ids = None, 0, set()
        self.readable, self.reason = True, None
        self.before_ml, self.flowed_at, self.leak_from = 0, 0, None
        self.due, self.ended = {}, {}  # by fact: when it is sent next, and when it ended
        self.set_valve(False)
        if os.path.exists(file):
            with open(file) as opened:
                self.journal = json.load(opened)
        else:
            self.journal = {"id": new_id(), "seq": 0, "ml": 0, "facts": {}, "settled": [], "dead": [], "pour": None, "config": None}
        if self.journal["pour"]:  # the power went away while it poured
            self.write_report("power_loss", interrupted=True)
        self.save()

    # ── the journal: on the disk before anything follows from it ──────────────────────────────────────────────────────────────────

    def save(self):
        """Write the whole journal, and wait for the disk."""
        with open(self.file + ".new", "w") as opened:
            json.dump(self.journal, opened)
            opened.flush()
            os.fsync(opened.fileno())
        os.rename(self.file + ".new", self.file)

    def write_fact(self, fact_id, fact):
        """A fact stays until its verdict, and its id for ever."""
        self.journal["facts"][fact_id] = fact
        self.ended[fact_id] = time.monotonic()
        self.due[fact_id] = 0

    def write_report(self, end_reason, interrupted=False):
        """The one report of the pour that the journal has."""
        pour, to_ml = self.journal["pour"], self.journal["ml"]
        self.write_fact(pour["pour_id"], {
            "type": "pour_completed", "pour_id": pour["pour_id"], "card_uid": pour["card_uid"],
            "volume_ml": to_ml - pour["from_ml"], "odometer_from_ml": pour["from_ml"], "odometer_to_ml": to_ml,
            "duration_ms": pour["ms"], "end_reason": end_reason, "interrupted": interrupted, "started_at": None, "age_ms": None,
            "journal_id": self.journal["id"], "boot_id": pour["boot_id"],
        })  # fmt: skip
        self.journal["pour"] = None

    def refuse(self, pour_id, card_uid):
        """A pour that never started, and from now on never can."""
        running, self.journal["pour"] = self.journal["pour"], {
            "pour_id": pour_id, "card_uid": card_uid, "from_ml": self.journal["ml"], "ms": 0, "boot_id": self.boot_id,
        }  # fmt: skip
        self.write_report("never_started")
        self.journal["pour"] = running
        self.save()

    # ── the broker: a new client for each connection, so that no old question is sent by it ───────────────────────────────────────

    def connect(self):
        """Begin a connection; its thread only fills `events`, so that the valve never waits for the network."""
        self.connection += 1
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, self.path, reconnect_on_failure=False)
        client.username_pw_set(*self.login)
        client.will_set(f"{ROOT}{self.path}/state", json.dumps(self.state("offline")), qos=1, retain=True)
        client.on_connect = lambda *_: self.events.put((client, "up", b"", False))
        client.on_disconnect = client.on_connect_fail = lambda *_: self.events.put((client, "down", b"", False))
        client.on_message = lambda _client, _data, said: self.events.put((client, said.topic, said.payload, said.retain))
        client.connect_async(*self.broker)
        client.loop_start()
        self.client, self.retry_at = client, None

    def say(self, leaf, message, retain=False):
        """Publish, if there is a connection."""
        if self.online:
            self.client.publish(f"{ROOT}{self.path}/{leaf}", json.dumps(message), qos=1, retain=retain)

    def state(self, status="online"):
        """What everybody may know."""
        pour, card = self.journal["pour"], self.card
        return {
            "type": "node_state", "status": status, "phase": self.phase, "valve": "open" if self.valve_open else "closed",
            "card": card and {"card_uid": card, "reader_id": "tap", "read_at": ""}, "pour_id": pour and pour["pour_id"],
            "facts_open": len(self.open_facts()), "odometer_ml": self.journal["ml"], "journal_id": self.journal["id"],
            "boot_id": self.boot_id, "connection": self.connection,
            "config_revision": (self.journal["config"] or {}).get("revision", 0),
            "software": "smallest-node 1", "contract_version": "1.0", "uptime_ms": int((time.monotonic() - self.began) * 1000),
        }  # fmt: skip

    def open_facts(self):
        """The facts without a verdict, the running pour included."""
        running = self.journal["pour"] and [self.journal["pour"]["pour_id"]]
        return [each for each in self.journal["facts"] if each not in self.journal["settled"]] + (running or [])

    # ── what the core says ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def hear(self, client, topic, payload, retain):
        """Take one event of the connection."""
        if client is not self.client:
            return
        if topic in ("up", "down"):
            self.online, self.shown, self.due, self.cores = topic == "up", None, dict.fromkeys(self.due, 0), None
            if self.online:
                client.subscribe([(f"{ROOT}{self.path}/command", 1), (f"{ROOT}{self.path}/config", 1), (f"{ROOT}core/+/state", 1)])
            else:
                self.retry_at = time.monotonic() + REPEAT_S
            return
        try:
            said = json.loads(payload) if payload else {}
        except (ValueError, RecursionError):
            said = {}
        if topic.endswith("/state"):
            self.cores = (self.cores or set()) | {topic} if payload else (self.cores or set()) - {topic}
            self.alone_since, self.due = time.monotonic(), dict.fromkeys(self.due, 0)
        elif topic.endswith("/config") and payload:
            self.configure(said)
        elif topic.endswith("/command") and isinstance(said, dict) and not retain:  # a retained command is no command
            acts = {
                "pour_authorized": self.grant, "pour_denied": self.deny, "pour_settled": self.settle,
                "flow_recorded": self.settle, "stop_pour": self.stop, "report_pour": self.find,
            }  # fmt: skip
            acts.get(said.get("type"), lambda _: None)(said)

    def configure(self, said):
        """A status other than active counts always, all else only with a revision that is not older; unreadable is closed."""
        self.readable = isinstance(said, dict) and fits(said, CONFIG)
        before = self.journal["config"]
        if self.readable and (not before or said["revision"] >= before["revision"] or said["status"] != "active"):
            self.journal["config"] = said
            self.save()

    def may_pour(self):
        """True if the tap is in service."""
        return self.readable and (self.journal["config"] or {}).get("status") == "active"

    def grant(self, said):
        """The one message that may open the valve."""
        known, running = (*self.journal["facts"], *self.journal["dead"]), self.journal["pour"]
        if not fits(said, GRANT) or said["pour_id"] in known or said["request_id"] not in self.asked_ids:
            return
        if running and running["pour_id"] == said["pour_id"]:
            return
        if not self.is_good(said):
            self.refuse(said["pour_id"], said["card_uid"])
            return
        self.journal["pour"] = {**said, "from_ml": self.journal["ml"], "ms": 0, "boot_id": self.boot_id}
        self.save()
        if self.is_good(said):  # the disk may have been slow
            self.phase, self.opened_at, self.flowed_at, self.reason, self.saved_ml = (
                "POURING",
                time.monotonic(),
                time.monotonic(),
                None,
                0,
            )
            self.set_valve(True)
        else:
            self.write_report("never_started")
            self.save()

    def is_good(self, said):
        """Every condition of an open valve."""
        return (
            self.phase == "AUTHORIZING" and said["request_id"] == self.question["event_id"] and self.may_pour()
            and said["card_uid"] == self.question["card_uid"] == self.card and time.monotonic() - self.asked_at < REQUEST_TIMEOUT_S
        )  # fmt: skip

    def deny(self, said):
        """Any reason is a no."""
        if self.phase == "AUTHORIZING" and said.get("request_id") == self.question["event_id"]:
            self.phase = "CARD_MUST_BE_REMOVED"

    def settle(self, said):
        """Any verdict is a verdict."""
        fact_id = said.get("pour_id") or said.get("event_id")
        if fact_id in self.journal["facts"] and fact_id not in self.journal["settled"]:
            self.journal["settled"].append(fact_id)
            self.save()

    def stop(self, said):
        """End the pour, or make an unknown id dead."""
        if self.journal["pour"] and self.journal["pour"]["pour_id"] == said.get("pour_id"):
            self.close("stopped")
        elif said.get("pour_id") not in self.journal["facts"]:
            self.journal["dead"].append(said.get("pour_id"))
            self.save()

    def find(self, said):
        """Say again what became of a pour."""
        pour_id = said.get("pour_id")
        if self.journal["pour"] and self.journal["pour"]["pour_id"] == pour_id:
            self.shown = None
        elif pour_id in self.journal["facts"]:
            self.say_fact(pour_id)
        elif said.get("journal_id") != self.journal["id"]:
            self.say("pour/completed", {"type": "pour_unknown", "pour_id": pour_id, "journal_id": said.get("journal_id")})
        else:
            self.refuse(pour_id, (self.question or {}).get("card_uid", "00000000"))

    # ── the tap ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def set_valve(self, is_open):
        """The valve first, then everything else."""
        self.hardware.valve(is_open)
        self.valve_open = is_open

    def close(self, reason):
        """Close, and wait for the tail."""
        if self.valve_open:
            self.set_valve(False)
            self.reason, self.closed_at = reason, time.monotonic()

    def step(self):
        """Do what is due now."""
        now = time.monotonic()
        self.count(now)
        self.look(now)
        while not self.events.empty():
            self.hear(*self.events.get())
        if self.retry_at is not None and now >= self.retry_at:
            self.connect()
        if self.phase == "AUTHORIZING":
            self.ask_again(now)
        elif self.phase == "POURING":
            self.pour(now)
        elif self.phase == "SETTLING" and (self.last not in self.open_facts() or now - self.settling_at > SETTLE_S):
            self.phase = "CARD_MUST_BE_REMOVED"
        if self.phase == "OUT_OF_SERVICE" and self.may_pour():
            self.phase = "CARD_MUST_BE_REMOVED"
        if self.phase == "CARD_MUST_BE_REMOVED" and not self.card:
            self.phase = "IDLE"
        if self.phase in ("IDLE", "CARD_MUST_BE_REMOVED") and not self.may_pour():
            self.phase = "OUT_OF_SERVICE"
        shown = {**self.state(), "uptime_ms": 0, "odometer_ml": 0 if self.phase == "POURING" else self.journal["ml"]}
        if self.online and shown != self.shown:
            self.shown = shown
            self.say("state", self.state(), retain=True)
        for fact_id in [each for each in self.open_facts() if each in self.journal["facts"] and now >= self.due.get(each, 0)]:
            self.say_fact(fact_id)

    def say_fact(self, fact_id):
        """Send a fact, and again later; only its age changes."""
        fact, now = self.journal["facts"][fact_id], time.monotonic()
        age_ms = int((now - self.ended[fact_id]) * 1000) if fact_id in self.ended and not fact.get("interrupted") else None
        self.say("flow" if fact["type"] == "unattributed_flow" else "pour/completed", {**fact, "age_ms": age_ms})
        self.due[fact_id] = now + REPEAT_S

    def look(self, now):
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
                       "boot_id": self.boot_id}  # fmt: skip
            self.card = None
            self.close("card_removed")
            self.phase = "IDLE" if self.phase == "AUTHORIZING" else self.phase
            self.say("card", removed)

    def arrived(self, now):
        """A card is a question, if anybody can answer it."""
        is_alone = self.cores == set() and now - self.alone_since > NO_CORE_S
        if self.phase != "IDLE" or not self.online or is_alone:
            self.phase = self.phase if self.phase in ("POURING", "SETTLING", "OUT_OF_SERVICE") else "CARD_MUST_BE_REMOVED"
            return
        self.journal["seq"] += 1
        self.save()
        self.question = {
            "type": "card_presented", "event_id": new_id(), "card_uid": self.card, "reader_id": "tap", "read_at": "",
            "boot_id": self.boot_id, "journal_id": self.journal["id"], "seq": self.journal["seq"],
            "unsettled": [each for each in self.open_facts() if self.journal["facts"][each]["type"] == "pour_completed"],
        }  # fmt: skip
        self.asked_ids.add(self.question["event_id"])
        self.phase, self.asked_at, self.again_at = "AUTHORIZING", now, 0

    def ask_again(self, now):
        """Until it is answered, or too late."""
        if now - self.asked_at > REQUEST_TIMEOUT_S:
            self.phase = "CARD_MUST_BE_REMOVED"
        elif now >= self.again_at:
            self.again_at = now + REPEAT_S
            self.say("card", self.question)

    def count(self, now):
        """The odometer, and what flows without a pour."""
        ml = self.hardware.ml()
        more, self.before_ml = ml - self.before_ml, ml
        if more:
            self.journal["ml"] += more
            self.flowed_at = now
            if self.phase != "POURING" and self.leak_from is None:
                self.leak_from, self.leak_at = self.journal["ml"] - more, now
        if self.leak_from is not None and now - self.flowed_at > LEAK_QUIET_S:
            from_ml, to_ml, self.leak_from, event_id = self.leak_from, self.journal["ml"], None, new_id()
            if to_ml - from_ml >= LEAK_ML:
                self.write_fact(event_id, {
                    "type": "unattributed_flow", "event_id": event_id, "cause": "closed_valve", "volume_ml": to_ml - from_ml,
                    "duration_ms": int((self.flowed_at - self.leak_at) * 1000), "card_uid": None, "age_ms": None,
                    "odometer_from_ml": from_ml, "odometer_to_ml": to_ml, "journal_id": self.journal["id"], "boot_id": self.boot_id,
                })  # fmt: skip
            self.save()

    def pour(self, now):
        """Close when one of the limits is reached; when the tail is over, write the report."""
        pour = self.journal["pour"]
        volume_ml, pour["ms"] = self.journal["ml"] - pour["from_ml"], int((now - self.opened_at) * 1000)
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
            self.save()
        if not self.valve_open and (now - self.flowed_at > TAIL_QUIET_S or now - self.closed_at > TAIL_S):
            self.last, self.settling_at, self.phase = pour["pour_id"], now, "SETTLING"
            self.write_report(self.reason)
            self.save()
