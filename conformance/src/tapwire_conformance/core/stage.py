"""What a scenario against a core plays on: a venue of the kit's own with two taps, guests, and what the API says of them."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from tapwire_conformance.broker import BrokerUrl, Connection
from tapwire_conformance.core.api import Api
from tapwire_conformance.core.node import PlayedNode
from tapwire_conformance.own_broker import OwnBroker
from tapwire_conformance.rules import Broken, NotTried
from tapwire_conformance.transcript import Transcript, Way
from tapwire_contracts.topics import ROOT, DevicePath, tap_path

PRICE_MINOR: Final = 500_00
"""The list price of a litre: 50 minor units a millilitre."""
ML_MINOR: Final = PRICE_MINOR // 1_000
KEG_ML: Final = 1_000_000
MAX_POUR_ML: Final = 1_000
LOGIN_WITHIN_S: Final = 60.0
"""Time in which a new device's login has to work at the broker: `sync-broker` brings it there."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the kit waits: for an answer, for what must not come, and for what a core does by itself.

    `decisions_per_hour`: the core's `device_decisions_per_hour`; None where it is not to be used up.
    """

    answer_s: float = 10.0
    quiet_s: float = 1.5
    sweep_s: float = 60.0
    decisions_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest with an open visit and a card."""

    guest_id: str
    visit_id: str
    card_uid: str


@dataclass(frozen=True, slots=True)
class Tap:
    """One of the venue's taps: its path, its device's secret, and its connection to the broker."""

    path: DevicePath
    secret: str
    connection: Connection


class CoreStage:
    """A venue at the core that is tried. Each scenario gets new guests; what it changes is put back after it."""

    def __init__(
        self,
        broker: BrokerUrl,
        api: Api,
        transcript: Transcript,
        timing: Timing,
        wait_an_hour: Callable[[], None] | None,
        ca_file: str | None,
        own_broker: OwnBroker | None = None,
    ) -> None:
        self.api = api
        self.transcript = transcript
        self.timing = timing
        self._wait_an_hour = wait_an_hour
        self.venue_id = f"conformance-{secrets.token_hex(4)}"
        self.left: Tap
        self.right: Tap
        self.beverage_id = ""
        self._broker = broker
        self._ca_file = ca_file
        self._own_broker = own_broker
        self._guests: list[Guest] = []
        self._undo = ExitStack()

    @classmethod
    @contextmanager
    def opened(
        cls,
        broker: BrokerUrl,
        api: Api,
        transcript: Transcript,
        timing: Timing,
        wait_an_hour: Callable[[], None] | None = None,
        ca_file: str | None = None,
        own_broker: OwnBroker | None = None,
    ) -> Iterator[Self]:
        """Set the venue up, and close its shift afterwards; raises `BrokerUnusable` and `ApiUnusable`."""
        stage = cls(broker, api, transcript, timing, wait_an_hour, ca_file, own_broker)
        api.post("/api/venues", {"venue_id": stage.venue_id, "name": "Conformance", "time_zone": "Etc/UTC"})
        beverage = {"name": f"Trial {stage.venue_id}", "sell_price_per_liter_minor": PRICE_MINOR}
        stage.beverage_id = api.post("/api/beverages", beverage)["beverage_id"]
        with ExitStack() as open_taps:
            for tap_id in ("left", "right"):
                tap = stage._add_tap(tap_id)
                open_taps.callback(tap.connection.close)
                setattr(stage, tap_id, tap)
            api.post("/api/shifts/open", {"venue_id": stage.venue_id})
            if own_broker is not None:
                stage.wait_for_core(0)
            try:
                yield stage
            finally:
                api.post("/api/shifts/close", {"venue_id": stage.venue_id, "end_visits": True})

    # ── between scenarios ─────────────────────────────────────────────────────

    @contextmanager
    def scenario(self) -> Iterator[None]:
        """The time of one scenario: afterwards its pours are ended, its visits closed, and what it changed is put back."""
        try:
            yield
        finally:
            if self._own_broker is not None and not self._own_broker.is_running:
                mark = self.transcript.mark
                self.start_broker()
                self.wait_for_core(mark)
            self._undo.close()
            for guest in self._guests:
                self._see_off(guest)
            self._guests.clear()
            for tap in (self.left, self.right):
                if self.tap(tap)["status"] != "active":
                    self.api.patch(self._tap_url(tap), {"status": "active", "reason": "conformance"})

    def afterwards(self, undo: Callable[[], object]) -> None:
        """Do this when the scenario has ended."""
        self._undo.callback(undo)

    def an_hour_passes(self) -> None:
        """Wait for an hour, or let the tests' clock do it; raises `NotTried` where neither was allowed."""
        if self._wait_an_hour is None:
            raise NotTried("it takes an hour: --slow waits for it")
        self._wait_an_hour()

    # ── the broker ────────────────────────────────────────────────────────────

    def need_broker(self) -> OwnBroker:
        """The broker that the kit runs; raises `NotTried` where it is another's."""
        if self._own_broker is None:
            raise NotTried("the broker can't be killed: --broker-command has the kit run one of its own")
        return self._own_broker

    def kill_broker(self) -> None:
        """Kill the broker; it stays dead until `start_broker`."""
        self.need_broker().kill()
        for tap in (self.left, self.right):
            tap.connection.drop()
        self.transcript.add(Way.DONE, "broker: killed")

    def start_broker(self, command: str | None = None) -> None:
        """Start it, or another one in its place, and have the taps' devices there again."""
        self.need_broker().start(command)
        for tap in (self.left, self.right):
            tap.connection.reopen()
        self.transcript.add(Way.DONE, "broker: started again")

    def wait_for_core(self, mark: int) -> None:
        """Let a core find the broker that the kit has started. Where none comes, the rules say so."""
        is_core = f"{ROOT}/core/"
        with suppress(Broken):
            self.transcript.wait(
                mark,
                lambda heard: heard.topic.startswith(is_core) and bool(heard.payload) and not heard.retain,
                self.timing.sweep_s,
                "core_state",
            )

    # ── guests ────────────────────────────────────────────────────────────────

    def guest(self, balance_minor: int = 0) -> Guest:
        """A guest with a balance, an open visit and a card."""
        guest_id = self.api.post("/api/guests", {"first_name": "Trial", "age_checked": True})["guest_id"]
        if balance_minor:
            money = {"amount_minor": balance_minor, "method": "cash", "venue_id": self.venue_id}
            self.api.post(f"/api/guests/{guest_id}/top-ups", money)
        card_uid = f"04{secrets.token_hex(6)}"
        opening = {"venue_id": self.venue_id, "guest_id": guest_id, "card_uid": card_uid}
        visit_id = self.api.post("/api/visits/open-and-assign-card", opening)["visit"]["visit_id"]
        self._guests.append(Guest(guest_id, visit_id, card_uid))
        return self._guests[-1]

    def money(self, guest: Guest) -> tuple[int, int]:
        """A guest's balance, and what of it is held."""
        shown = self.api.get(f"/api/guests/{guest.guest_id}")
        return shown["balance_minor"], shown["held_minor"]

    def close_visit(self, guest: Guest) -> None:
        """Close a guest's visit; a pending pour is voided."""
        self.api.post(f"/api/visits/{guest.visit_id}/close", {"void_pending": True, "reason": "conformance"})

    # ── taps ──────────────────────────────────────────────────────────────────

    def node(self, tap: Tap | None = None) -> PlayedNode:
        """A node with a new journal at a tap, the left one unless another is named."""
        used = tap or self.left
        return PlayedNode(used.path, used.connection, self.transcript, self.timing.answer_s, self.timing.quiet_s)

    def another_tap(self) -> Tap:
        """A new tap with a keg, for what would spoil the others for a while."""
        tap = self._add_tap(f"tap-{secrets.token_hex(4)}")
        self.afterwards(tap.connection.close)
        return tap

    def tap(self, tap: Tap | None = None) -> dict[str, Any]:
        """What the API says of a tap."""
        return dict(self.api.get(self._tap_url(tap or self.left)))

    def set_tap(self, **changes: object) -> None:
        """Change the left tap."""
        self.api.patch(self._tap_url(self.left), {**changes, "reason": "conformance"})

    def small_keg(self, volume_ml: int) -> None:
        """Have another keg on the left tap until the scenario has ended."""
        before = self.tap()["keg_id"]
        self.afterwards(lambda: self.api.put(f"{self._tap_url(self.left)}/keg", {"keg_id": before}))
        self._put_keg(self.left.path, volume_ml)

    def take_keg_off(self) -> None:
        """Leave the left tap without a keg until the scenario has ended."""
        keg_id = self.tap()["keg_id"]
        self.afterwards(lambda: self.api.put(f"{self._tap_url(self.left)}/keg", {"keg_id": keg_id}))
        self.api.delete(f"{self._tap_url(self.left)}/keg")

    def keg_ml(self, tap: Tap | None = None) -> int:
        """The book volume of a tap's keg."""
        return int(self.api.get(f"/api/kegs/{self.tap(tap)['keg_id']}")["book_volume_ml"])

    # ── pours, incidents, audit ───────────────────────────────────────────────

    def pour(self, pour_id: str) -> dict[str, Any]:
        """What the API says of a pour."""
        return dict(self.api.get(f"/api/pours/{pour_id}"))

    def pours_of(self, guest: Guest) -> list[dict[str, Any]]:
        """All pours of a guest's visit."""
        return list(self._items(f"/api/pours?visit_id={guest.visit_id}"))

    def incidents(self, kind: str, pour_id: str | None = None) -> list[dict[str, Any]]:
        """The venue's unresolved incidents of a kind, of one pour where it is named."""
        found = self._items(f"/api/incidents?kind={kind}&venue_id={self.venue_id}&limit=200")
        return [each for each in found if each["status"] != "resolved" and pour_id in (None, each.get("pour_id"))]

    def settle_incidents(self, kind: str) -> None:
        """End the venue's incidents of a kind, so that the next one is a new one."""
        for each in self.incidents(kind):
            self.api.post(f"/api/incidents/{each['incident_id']}/resolve", {"resolution": "no_action", "comment": "conformance"})

    def audited(self, action: str, subject: str) -> list[dict[str, Any]]:
        """The audit log's entries of an action about a subject."""
        return list(self._items(f"/api/audit/?action={action}&subject={subject}"))

    def eventually(self, holds: Callable[[], object], what: str, within_s: float | None = None) -> None:
        """Wait until the API shows something; raises `Broken`."""
        wait(holds, what, within_s or self.timing.answer_s)

    def door(self, path: str, body: Mapping[str, object], tap: Tap | None = None) -> tuple[int, Any]:
        """Ask at the door for controllers, with a tap's secret; status and body."""
        answer = self.api.request("POST", path, body, {"X-Internal-Token": (tap or self.left).secret})
        return answer.status, answer.body

    # ── the workings ──────────────────────────────────────────────────────────

    def _items(self, path: str) -> list[dict[str, Any]]:
        return list(self.api.get(path)["items"])

    def _tap_url(self, tap: Tap) -> str:
        return f"/api/taps/{tap.path.venue_id}/{tap.path.device_id}"

    def _put_keg(self, path: DevicePath, volume_ml: int) -> None:
        keg = {"venue_id": self.venue_id, "beverage_id": self.beverage_id, "initial_volume_ml": volume_ml}
        keg_id = self.api.post("/api/kegs", keg)["keg_id"]
        self.api.put(f"/api/taps/{path.venue_id}/{path.device_id}/keg", {"keg_id": keg_id})

    def _see_off(self, guest: Guest) -> None:
        visit = self.api.get(f"/api/visits/{guest.visit_id}")
        if visit["status"] == "active":
            self.close_visit(guest)

    def _add_tap(self, tap_id: str) -> Tap:
        path = tap_path(self.venue_id, tap_id)
        made = {"venue_id": self.venue_id, "tap_id": tap_id, "name": tap_id, "max_pour_ml": MAX_POUR_ML}
        self.api.post("/api/taps", made)
        self._put_keg(path, KEG_ML)
        secret = str(self.api.post("/api/devices", {"path": str(path)})["secret"])
        connection = Connection(
            self._broker,
            self.transcript,
            username=self._broker.username or str(path),
            password=self._broker.password if self._broker.username else secret,
            client_id=str(path),
            filters=(path.topic("command"), path.topic("config"), f"{ROOT}/core/+/state"),
            ca_file=self._ca_file,
            patience_s=LOGIN_WITHIN_S,
        )
        return Tap(path, secret, connection)


def wait(holds: Callable[[], object], what: str, within_s: float) -> None:
    """Wait until something holds; raises `Broken`."""
    until_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > until_s:
            raise Broken(f"within {within_s:g} s {what} did not come about")
        time.sleep(0.1)
