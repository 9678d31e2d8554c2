"""What a scenario against a tap node plays on: the core that the kit plays, the rig at the tap, and the way to the broker."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self
from uuid import uuid4

from tapwire_conformance import SOFTWARE
from tapwire_conformance.broker import BrokerUnusable, BrokerUrl, Connection
from tapwire_conformance.own_broker import OwnBroker
from tapwire_conformance.rules import Broken, NotTried
from tapwire_conformance.tap.core_messages import config_of, grant_of, verdict_on
from tapwire_conformance.tap.link import Link
from tapwire_conformance.tap.rig import UNKNOWN, Rig
from tapwire_conformance.transcript import Entry, Transcript, Wanted, Way
from tapwire_contracts.topics import ROOT, DevicePath, core_state_topic

CARD: Final = "04a1b2c3d4e5f6"
OTHER_CARD: Final = "04ffeeddccbbaa"
LOOK_S: Final = 0.02
NODE_LEAVES: Final = ("state", "card", "pour/progress", "pour/completed", "flow")


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """The node's times and its meter's factor, and how long the kit waits for it to say something."""

    request_timeout_s: float = 5.0
    repeat_s: float = 1.0
    answer_s: float = 20.0
    quiet_s: float = 2.0
    pour_ml: int = 100
    pulses_per_liter: int = 450


class TapStage:
    """A node at its tap. Each scenario begins with no card, an active config, and no open fact."""

    def __init__(
        self,
        connection: Connection,
        later: Callable[[Transcript], Connection],
        path: DevicePath,
        rig: Rig,
        link: Link | None,
        transcript: Transcript,
        settings: NodeSettings,
        own_broker: OwnBroker | None = None,
    ) -> None:
        self.path = path
        self.transcript = transcript
        self.settings = settings
        self.instance_id = f"conformance-{uuid4().hex[:8]}"
        self.revision = 1
        self._connection = connection
        self._later = later
        self._rig = rig
        self._link = link
        self._own_broker = own_broker
        self._config: dict[str, Any] = {}
        self._settled: dict[str, int] = {}
        self._granted: list[str] = []

    @classmethod
    @contextmanager
    def opened(
        cls,
        broker: BrokerUrl,
        path: DevicePath,
        rig: Rig,
        link: Link | None,
        transcript: Transcript,
        settings: NodeSettings,
        ca_file: str | None = None,
        own_broker: OwnBroker | None = None,
    ) -> Iterator[Self]:
        """Show up as a core worker; raises `BrokerUnusable`, also when a real one is there."""
        filters = (*(path.topic(leaf) for leaf in NODE_LEAVES), f"{ROOT}/core/+/state")
        connection = _connect(broker, transcript, filters, ca_file)
        later = partial(_connect, broker, filters=(path.topic("state"),), ca_file=ca_file)
        stage = cls(connection, later, path, rig, link, transcript, settings, own_broker)
        try:
            stage._show_up()
            yield stage
        finally:
            with suppress(BrokerUnusable):
                stage._stop_pours()
                connection.publish(core_state_topic(stage.instance_id), b"", retain=True)
                connection.publish(path.topic("config"), b"", retain=True)
            connection.close()

    @contextmanager
    def scenario(self) -> Iterator[None]:
        """The time of one scenario: before and after it the tap is brought to rest, unless the run is broken off."""
        self._come_to_rest()
        try:
            yield
        except (Broken, NotTried):
            self._come_to_rest()
            raise
        self._come_to_rest()

    # ── at the tap ────────────────────────────────────────────────────────────

    def act(self, request: str) -> str:
        """Have the rig do something; raises `NotTried` where it can't."""
        answer = self._rig.do(request)
        if request not in ("valve", "flowed"):
            self.transcript.add(Way.DONE, f"rig: {request}", answer)
        return answer

    def flowed_ml(self) -> int | None:
        """What flowed through the meter so far; None where the rig does not know."""
        answer = self.act("flowed")
        return None if answer == UNKNOWN else int(answer)

    def valve_is_open(self) -> bool:
        """True if the valve is open: by the rig, or by the node's latest state where the rig does not know."""
        answer = self.act("valve")
        return self.state().get("valve") == "open" if answer == UNKNOWN else answer == "open"

    def stays_closed(self, mark: int, for_s: float | None = None) -> None:
        """Watch for a while that the valve does not open; raises `Broken`."""
        until_s = time.monotonic() + (for_s or self.settings.quiet_s)
        while time.monotonic() < until_s:
            if self.valve_is_open() or self.transcript.heard(mark, lambda heard: heard.content.get("valve") == "open"):
                raise Broken("the valve opened")
            time.sleep(LOOK_S)

    def until(self, holds: Callable[[], object], what: str, within_s: float | None = None) -> None:
        """Wait until something holds; raises `Broken`."""
        until_s = time.monotonic() + (within_s or self.settings.answer_s)
        while not holds():
            if time.monotonic() > until_s:
                raise Broken(f"within {within_s or self.settings.answer_s:g} s {what}")
            time.sleep(LOOK_S)

    def closes(self, within_s: float | None = None) -> None:
        """Wait until the valve is closed; raises `Broken`."""
        self.until(lambda: not self.valve_is_open(), "the valve did not close", within_s)

    # ── what the node says ────────────────────────────────────────────────────

    @property
    def mark(self) -> int:
        """The place after everything heard so far."""
        return self.transcript.mark

    def hear(self, kind: str, mark: int, count: int = 1, within_s: float | None = None, **fields: object) -> Entry:
        """Wait for the `count`-th message of a type with these values, from a mark on; raises `Broken`."""
        described = f"{kind} with {fields}" if fields else kind
        return self.transcript.wait(mark, self.fitting(kind, **fields), within_s or self.settings.answer_s, described, count)

    def all(self, kind: str, mark: int, **fields: object) -> list[dict[str, Any]]:
        """The messages of a type with these values, from a mark on."""
        return [heard.content for heard in self.transcript.heard(mark, self.fitting(kind, **fields))]

    def state(self) -> dict[str, Any]:
        """The node's latest state; empty if none came."""
        return (self.all("node_state", 0) or [{}])[-1]

    def retained_state(self) -> dict[str, Any]:
        """The state that a later subscriber gets at once; raises `Broken` when there is none."""
        alone = Transcript()
        connection = self._later(alone)
        try:
            return alone.wait(0, lambda heard: heard.retain, self.settings.answer_s, "retained state").content
        finally:
            connection.close()

    def fitting(self, kind: str, **fields: object) -> Wanted:
        """Whether an entry is such a message of this node."""
        topics = {self.path.topic(leaf) for leaf in NODE_LEAVES}
        return lambda heard: heard.topic in topics and heard.kind == kind and fields.items() <= heard.content.items()

    # ── what the core says ────────────────────────────────────────────────────

    def command(self, kind: str, *, retain: bool = False, **fields: object) -> None:
        """Send the tap a command."""
        self._connection.publish(self.path.topic("command"), {"type": kind, **fields}, retain=retain)

    def raw_command(self, payload: bytes, *, retain: bool = False) -> None:
        """Send the tap bytes that may be no command."""
        self._connection.publish(self.path.topic("command"), payload, retain=retain)

    def grant(self, question: dict[str, Any], **changes: object) -> dict[str, Any]:
        """Say yes."""
        grant = grant_of(question, **changes)
        self._granted.append(str(grant["pour_id"]))
        self.command("pour_authorized", **grant)
        return grant

    def deny(self, question: dict[str, Any], reason: str = "insufficient_funds") -> None:
        """Say no."""
        self.command("pour_denied", request_id=question["event_id"], reason=reason, message="No.", display={"message": "No."})

    def settle(self, report: dict[str, Any], **changes: object) -> None:
        """Give a report its verdict."""
        self._settled[str(report["pour_id"])] = self.mark
        self.command("pour_settled", **verdict_on(report, **changes))

    def configure(self, *, revision: int | None = None, **changes: object) -> int:
        """Publish the tap's config, under the next revision unless another is given; the revision."""
        if revision is None:
            self.revision += 1
        used = self.revision if revision is None else revision
        self._config = config_of(used, self.settings.pulses_per_liter, **changes)
        self.raw_config(self._config)
        return used

    def raw_config(self, payload: dict[str, Any] | bytes) -> None:
        """Publish what may be no config."""
        self._connection.publish(self.path.topic("config"), payload, retain=True)

    def show_up(self) -> None:
        """Publish the presence of a core worker."""
        state = {"type": "core_state", "instance_id": self.instance_id, "software": SOFTWARE, "contract_version": "1.0"}
        self._connection.publish(core_state_topic(self.instance_id), state, retain=True)

    @contextmanager
    def another_worker(self) -> Iterator[None]:
        """Have one more core worker show up for a while."""
        first, self.instance_id = self.instance_id, f"conformance-{uuid4().hex[:8]}"
        self.show_up()
        try:
            yield
        finally:
            self.go_away()
            self.instance_id = first

    def go_away(self) -> None:
        """Take the presence back."""
        self._connection.publish(core_state_topic(self.instance_id), b"", retain=True)

    # ── steps that scenarios share ────────────────────────────────────────────

    def ask(self, card_uid: str = CARD) -> dict[str, Any]:
        """A card is laid on; the node's question."""
        mark = self.mark
        self.act(f"card-on {card_uid}")
        return self.hear("card_presented", mark).content

    def pour(self, **changes: object) -> dict[str, Any]:
        """A card is laid on and granted, and the valve opens; the grant."""
        grant = self.grant(self.ask(), **changes)
        self.until(self.valve_is_open, "a good grant did not open the valve")
        return grant

    def take_card_off(self) -> None:
        """Take the card off, and wait until the node is ready for the next one."""
        mark = self.mark
        self.act("card-off")
        self.hear("card_removed", mark)
        self.until(lambda: self.state()["phase"] == "IDLE", "the node was not ready for the next card")

    def report(self, grant: dict[str, Any], mark: int = 0) -> dict[str, Any]:
        """Wait for a pour's report."""
        return self.hear("pour_completed", mark, pour_id=grant["pour_id"]).content

    def dead(self, grant: dict[str, Any], mark: int) -> None:
        """A refused grant must be reported at once, with nothing flowed; the valve must stay closed. Raises `Broken`."""
        self.stays_closed(mark)
        report = self.report(grant, mark)
        if (report["volume_ml"], report["end_reason"]) != (0, "never_started"):
            raise Broken(f"the refused grant was reported with {report['volume_ml']} ml, {report['end_reason']}")

    def need_link(self) -> Link:
        """The link to the broker; raises `NotTried` without one."""
        if self._link is None:
            raise NotTried("the node's connection can't be cut: --link makes an address for the node to connect to")
        return self._link

    @property
    def is_linked(self) -> bool:
        """False while the link is cut; without a link nothing is."""
        return self._link is None or self._link.is_open

    @property
    def sees_messages(self) -> bool:
        """Whether messages are seen on their way: through a link, and not under TLS."""
        return self._link is not None and not self._link.is_sealed

    def need_broker(self) -> OwnBroker:
        """The broker that the kit runs; raises `NotTried` where it is another's."""
        if self._own_broker is None:
            raise NotTried("the broker can't be killed: --broker-command has the kit run one of its own")
        return self._own_broker

    def cut(self) -> None:
        """Cut the node's connection, and let nobody through until `mend`."""
        self.need_link().close()
        self.transcript.add(Way.DONE, "link: cut")

    def kill_broker(self) -> None:
        """Kill the broker; it stays dead until `start_broker`."""
        self.need_broker().kill()
        self._connection.drop()
        self.transcript.add(Way.DONE, "broker: killed")

    def start_broker(self, command: str | None = None, *, is_config_lost: bool = False) -> None:
        """Start it again, or another one in its place, and show up there as a core does; wait for the node.

        With `is_config_lost` the tap's config is not published, so that the node finds what the broker has kept.
        """
        before, mark = self.state(), self.mark
        self.need_broker().start(command)
        self._connection.reopen()
        self.transcript.add(Way.DONE, "broker: started again")
        self.show_up()
        if not is_config_lost:
            self.raw_config(self._config)
        if self._link is not None:
            self._link.open()
        self.transcript.wait(mark, lambda heard: self._is_back(heard, before), self.settings.answer_s, "node_state of the node")

    def mend(self) -> None:
        """Let the node come back, and wait for it."""
        mark = self.mark
        self.need_link().open()
        self.transcript.add(Way.DONE, "link: open")
        self.hear("node_state", mark, status="online")

    # ── the workings ──────────────────────────────────────────────────────────

    def _show_up(self) -> None:
        others = self.transcript.heard(0, lambda heard: heard.topic.startswith(f"{ROOT}/core/") and heard.payload)
        if others:
            raise BrokerUnusable(f"a core worker is there ({others[0].payload}): the kit must be the only core at this broker")
        self.transcript.wait(
            0, self.fitting("node_state", status="online"), self.settings.answer_s, "node_state of a node that is online"
        )
        self.revision = int(self.state()["config_revision"])
        self.show_up()

    def _come_to_rest(self) -> None:
        if self._own_broker is not None and not self._own_broker.is_running:
            self.start_broker()
        if self._link is not None:
            self._link.open()
        with suppress(NotTried):
            self.act("flow on")
        self.act("card-off")
        self.configure()
        self.settle_all()
        self.until(self._is_at_rest, f"the node did not come to rest, its state is {self.state()}")

    def _is_back(self, heard: Entry, before: dict[str, Any]) -> bool:
        """Whether this is a state of now, and not one that a broker has kept."""
        if not self.fitting("node_state", status="online")(heard):
            return False
        said = heard.content
        return not heard.retain or (said["boot_id"] == before["boot_id"] and said["connection"] > before["connection"])

    def _stop_pours(self) -> None:
        """End what a run that was broken off leaves behind: a valve that is open on its grant."""
        if self._link is not None:
            self._link.open()
        for pour_id in self._granted[-2:]:
            if pour_id not in self._settled:
                self.command("stop_pour", pour_id=pour_id, reason="operator")

    def _is_at_rest(self) -> bool:
        self.settle_all()
        state = self.state()
        wanted = {"status": "online", "phase": "IDLE", "facts_open": 0, "valve": "closed", "config_revision": self.revision}
        return wanted.items() <= state.items()

    def settle_all(self) -> None:
        """Give each fact its verdict that was heard since its last one."""
        for place, heard in enumerate(self.transcript.since(0)):
            fact_id = str(heard.content.get("pour_id") if heard.kind == "pour_completed" else heard.content.get("event_id"))
            if heard.way is not Way.HEARD or place < self._settled.get(fact_id, 0):
                continue
            if heard.kind == "pour_completed":
                self.settle(heard.content)
            elif heard.kind == "unattributed_flow":
                self._settled[fact_id] = self.mark
                self.command("flow_recorded", event_id=fact_id)


def _connect(broker: BrokerUrl, transcript: Transcript, filters: Sequence[str], ca_file: str | None) -> Connection:
    """A connection with the login of the broker's URL."""
    return Connection(
        broker,
        transcript,
        username=broker.username,
        password=broker.password,
        client_id=f"tapwire-conformance-{uuid4().hex}",
        filters=filters,
        ca_file=ca_file,
    )
