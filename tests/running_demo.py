"""A demo as a process of its own, as a person starts it, and a program from outside that has nothing but its demo.json."""

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import paho.mqtt.client as paho
import psutil
from paho.mqtt.enums import CallbackAPIVersion

from tapwire_demo.broker import BrokerKind
from tapwire_demo.demo_file import DemoFile, DemoTap, NoDemo, read_demo_file
from tapwire_demo.postgres_home import recorded_home

READY_S: Final = 60.0
ENDED_S: Final = 120.0
ANSWER_S: Final = 10.0
REPEATS = 5
_POLL_S: Final = 0.05
_IMPATIENCE_S: Final = 0.2
_MARK: Final = "DEMO_OF_TEST"
_DEMO: Final = Path(__file__).parents[1] / "demo"


class RunningDemo:
    """One `make demo`, with its folder and its output in files."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self._mark = uuid4().hex
        self._output = folder.with_name(f"{self._mark}.output")
        path = os.pathsep.join((str(_DEMO), *filter(None, [os.environ.get("PYTHONPATH")])))
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tapwire_demo", "--folder", str(folder), *options],
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": path, _MARK: self._mark},
            )

    @property
    def output(self) -> str:
        """Its output so far."""
        return self._output.read_text(encoding="utf-8")

    def ready(self) -> DemoFile:
        """Wait until it runs; what it tells programs from outside."""
        deadline = time.monotonic() + READY_S
        while True:
            try:
                found = read_demo_file(self.folder)
            except NoDemo:
                assert self.process.poll() is None, self.output
                assert time.monotonic() < deadline, self.output
                time.sleep(_POLL_S)
            else:
                if found.pids["demo"] == self.process.pid:
                    return found
                time.sleep(_POLL_S)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until it has printed this so many times."""
        deadline = time.monotonic() + READY_S
        while self.output.count(text) < times:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(_POLL_S)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Signal it, and wait for its end; its exit code."""
        self.process.send_signal(number)
        return self.ended()

    def end_impatiently(self) -> int:
        """Press Ctrl-C again and again; its exit code."""
        while self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            time.sleep(_IMPATIENCE_S)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; its exit code."""
        return self.process.wait(ENDED_S)

    def left(self) -> list[str]:
        """The processes that it began and that are still there."""
        homes = [str(home) for home in (self.folder, recorded_home(self.folder)) if home is not None]
        commands = (self._command_of_ours(process, homes) for process in psutil.process_iter())
        return [command for command in commands if command is not None]

    def _command_of_ours(self, process: psutil.Process, homes: list[str]) -> str | None:
        """The command line of a process that it began; None for another's, and for one that is gone meanwhile."""
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            command = " ".join(process.cmdline())
            if any(home in command for home in homes) or process.environ().get(_MARK) == self._mark:
                return command
        return None


@contextmanager
def running_demo(folder: Path, *options: str) -> Iterator[RunningDemo]:
    """A demo that has ended when the block is over."""
    demo = RunningDemo(folder, *options)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.end(signal.SIGTERM)


def of_kind(kind: BrokerKind) -> tuple[str, str]:
    """The options for a demo with a broker of this kind."""
    return "--broker", kind.value


@dataclass
class OutsideTap:
    """A tap node that somebody else wrote, with paho and dictionaries; it counts its questions and its odometer."""

    path: str
    client: paho.Client
    messages: "queue.Queue[dict[str, Any]]"
    journal_id: str = field(default_factory=lambda: str(uuid4()))
    boot_id: str = field(default_factory=lambda: str(uuid4()))
    seq: int = 0
    odometer_ml: int = 0

    @classmethod
    @contextmanager
    def connected(cls, demo: DemoFile, tap: DemoTap) -> Iterator["OutsideTap"]:
        """Connect with what stands in demo.json, under a client id of our own."""
        messages: queue.Queue[dict[str, Any]] = queue.Queue()
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="some-program", protocol=paho.MQTTv311)
        client.username_pw_set(tap.username, tap.secret)
        client.on_message = lambda _client, _userdata, message: messages.put(msgspec.json.decode(message.payload))
        broker = urlsplit(demo.broker_url)
        assert broker.hostname
        assert broker.port
        client.connect(broker.hostname, broker.port)
        while not client.is_connected():
            client.loop(timeout=ANSWER_S)
        client.subscribe([(f"tapwire/v1/{tap.path}/{leaf}", 1) for leaf in ("command", "config")])
        client.loop_start()
        try:
            yield cls(tap.path, client, messages)
        finally:
            client.disconnect()
            client.loop_stop()

    def question(self, card_uid: str) -> dict[str, Any]:
        """A card is laid on."""
        self.seq += 1
        return {
            "type": "card_presented",
            "event_id": str(uuid4()),
            "card_uid": card_uid,
            "reader_id": "tap",
            "read_at": "2026-05-01T20:00:00Z",
            "boot_id": self.boot_id,
            "journal_id": self.journal_id,
            "seq": self.seq,
            "unsettled": [],
        }

    def report(self, grant: dict[str, Any], volume_ml: int) -> dict[str, Any]:
        """A pour is over."""
        from_ml, self.odometer_ml = self.odometer_ml, self.odometer_ml + volume_ml
        return {
            "type": "pour_completed",
            "pour_id": grant["pour_id"],
            "card_uid": grant["card_uid"],
            "volume_ml": volume_ml,
            "duration_ms": volume_ml * 20,
            "end_reason": "card_removed",
            "interrupted": False,
            "started_at": "2026-05-01T20:00:01Z",
            "age_ms": 0,
            "odometer_from_ml": from_ml,
            "odometer_to_ml": self.odometer_ml,
            "journal_id": self.journal_id,
            "boot_id": self.boot_id,
        }

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Send a question until its answer comes."""
        return self._repeat("card", question, "request_id", question["event_id"])

    def settle(self, report: dict[str, Any]) -> dict[str, Any]:
        """Send a report until its verdict comes."""
        return self._repeat("pour/completed", report, "pour_id", report["pour_id"])

    def record(self, flow: dict[str, Any]) -> dict[str, Any]:
        """Send a flow that nobody was granted until the core has it."""
        return self._repeat("flow", flow, "event_id", flow["event_id"])

    def show_progress(self, grant: dict[str, Any], volume_ml: int) -> None:
        """Say once how much has flowed."""
        self._send(
            "pour/progress",
            {"type": "pour_progress", "pour_id": grant["pour_id"], "volume_ml": volume_ml, "elapsed_ms": volume_ml * 20},
        )

    def next(self, *types: str) -> dict[str, Any]:
        """The next message of these types."""
        while True:
            message = self.messages.get(timeout=ANSWER_S)
            if message["type"] in types:
                return message

    def _repeat(self, leaf: str, payload: dict[str, Any], key: str, value: str) -> dict[str, Any]:
        """Say it again while no answer comes, as the contract asks: a broker may lose any message."""
        for _ in range(REPEATS):
            self._send(leaf, payload)
            with suppress(queue.Empty):
                while True:
                    message = self.messages.get(timeout=ANSWER_S / REPEATS)
                    if message.get(key) == value:
                        return message
        raise AssertionError(f"no answer to {payload}")

    def _send(self, leaf: str, payload: dict[str, Any]) -> None:
        sent = self.client.publish(f"tapwire/v1/{self.path}/{leaf}", msgspec.json.encode(payload), qos=1)
        sent.wait_for_publish(ANSWER_S)
