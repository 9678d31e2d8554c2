"""What the core concludes from a device's words: nothing that reordering, repetition and delay of an honest node's can produce."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path
from random import Random
from typing import Final
from uuid import UUID, uuid4

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tapwire_contracts.messages import CardPresented, Message, NodeState, PourAuthorized, PourCompleted, UnattributedFlow
from tapwire_contracts.reasons import EndReason, IncidentKind
from tapwire_contracts.topics import DevicePath
from tests.simulation.books.ledger import Ledger
from tests.simulation.site import Size, imagine, open_ledger
from tests.simulation.virtual import run_now
from tests.thoroughness import short_or_long
from tests.venue import SimulatedTap

EXAMPLES: Final = short_or_long(150, 2_000)
CARD: Final = "04a1b2c3"
ACCUSING: Final = {IncidentKind.JOURNAL_SET_BACK, IncidentKind.IDENTITY_CONFLICT, IncidentKind.ODOMETER_REWOUND}


@dataclass
class Wire:
    """One tap's node, and the core's books. What the node has sent arrives when a test lets it, in any order, however often."""

    random: Random
    books: Ledger = field(init=False)
    tap: SimulatedTap = field(init=False)
    sent: list[Message] = field(default_factory=list)
    granted: list[UUID] = field(default_factory=list)
    revision: int = 1
    connection: int = 1

    def __post_init__(self) -> None:
        site = imagine(Size(taps=1, spare_kegs=0, guests=1), self.random)
        self.books = open_ledger(site, self.random)
        self.tap = SimulatedTap(DevicePath.parse(site.taps[0].path))
        self.guest_id = site.guests[0][0]

    async def open(self) -> "Wire":
        """A guest with money and a card."""
        await self.books.top_up(self.guest_id, 100_000_00)
        await self.books.open_visit(self.guest_id, CARD, uuid4())
        return self

    def state(self) -> NodeState:
        """The node's state now."""
        return replace(self.tap.state(connection=self.connection), config_revision=self.revision)

    def restart(self) -> None:
        """The node starts again, with the journal that it had."""
        self.tap.boot_id, self.connection = uuid4(), 1

    def act(self, step: str, ml: int) -> None:
        """An honest node does something, and says so."""
        match step:
            case "ask":
                self.sent.append(self.tap.question(CARD))
            case "flow":
                self.sent.append(self.tap.flow(ml))
            case "pour" if self.granted:
                self.sent.append(self.tap.report(self.granted.pop(), CARD, ml))
            case "refuse" if self.granted:
                self.sent.append(replace(self.tap.report(self.granted.pop(), CARD, 0), end_reason=EndReason.NEVER_STARTED))
            case "restart":
                self.restart()
                self.sent.append(self.state())
            case "connect":
                self.connection += 1
                self.sent.append(self.state())
            case "config":
                self.revision = max(self.revision, self.books.tables.taps[str(self.tap.path)].revision)
                self.sent.append(self.state())
            case _:
                self.sent.append(self.state())

    async def deliver(self, message: Message) -> None:
        """A message arrives; a grant reaches the node."""
        path = str(self.tap.path)
        match message:
            case CardPresented():
                answer = await self.books.answer(path, message, uuid4(), 0)
                if "pour_authorized" in answer:
                    pour_id = msgspec.json.decode(answer, type=PourAuthorized).pour_id
                    if pour_id not in self.granted and message.boot_id == self.tap.boot_id:
                        self.granted.append(pour_id)
            case PourCompleted():
                await self.books.settle(path, message)
            case UnattributedFlow():
                await self.books.record_flow(path, message)
            case NodeState():
                await self.books.note_state(path, message)

    def accused(self) -> set[str]:
        """What the node is accused of."""
        return {kind for kind, _ in self.books.tables.incidents} & ACCUSING


STEPS: Final = ("ask", "ask", "flow", "pour", "refuse", "restart", "connect", "config", "state")
ACTIONS: Final = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 40), st.integers(0, 3)), min_size=5, max_size=40)


@settings(max_examples=EXAMPLES, deadline=None)
@given(actions=ACTIONS, seed=st.integers(0, 2**32))
def test_no_order_repetition_or_delay_of_honest_messages_accuses_a_node(actions: list[tuple[str, int, int]], seed: int) -> None:
    async def story() -> set[str]:
        random = Random(seed)
        wire = await Wire(random).open()
        for step, ml, deliveries in actions:
            wire.act(step, ml)
            for message in random.choices(wire.sent, k=deliveries) if wire.sent else ():
                await wire.deliver(message)
        for message in random.sample(wire.sent * 2, len(wire.sent) * 2):
            await wire.deliver(message)
        return wire.accused()

    assert run_now(story()) == set()


@settings(max_examples=EXAMPLES, deadline=None)
@given(actions=ACTIONS, kept=st.integers(0, 3), seed=st.integers(0, 2**32))
def test_a_journal_that_was_set_back_is_found_by_its_first_old_question(
    actions: list[tuple[str, int, int]], kept: int, seed: int
) -> None:
    async def story() -> set[str]:
        random = Random(seed)
        wire = await Wire(random).open()
        for step, ml, _ in [*actions, ("ask", 0, 0), ("ask", 0, 0)]:
            wire.act(step, ml)
            await wire.deliver(wire.sent[-1]) if wire.sent else None
        wire.restart()
        wire.tap.seq = min(kept, wire.tap.seq - 1)
        wire.act("ask", 0)
        await wire.deliver(wire.sent[-1])
        return wire.accused()

    assert IncidentKind.JOURNAL_SET_BACK in run_now(story())


WORDS: Final[dict[str, tuple[str, ...]]] = {
    "journal_id": ("same", "on"),
    "boot_id": ("same", "on", "back"),
    "connection": ("same", "on", "back"),
    "uptime_ms": ("on", "back"),
    "seq": ("on", "back"),
    "event_id": ("on", "back"),
    "odometer": ("on", "back"),
}
"""SYSTEM.md, "Conclusions from a device's own word": each word as it stays, goes on and goes back."""


def pairs_of_words() -> Iterator[dict[str, str]]:
    """Each pair of two words' ways; the other words stay or go on, as an honest node's do."""
    usual = {word: ways[0] for word, ways in WORDS.items()}
    for one, other in combinations(WORDS, 2):
        for way, other_way in product(WORDS[one], WORDS[other]):
            yield usual | {one: way, other: other_way}


def conclusions(ways: dict[str, str]) -> set[str]:
    """What the table says of a question, a flow and a state with these words."""
    another_boot = ways["boot_id"] != "same"
    is_old_journal = ways["journal_id"] == "same" and ways["event_id"] == "on"
    rewound = is_old_journal and ways["odometer"] == "back"
    stale = is_old_journal and ways["seq"] == "back"
    said: set[str] = {"answered again" if ways["event_id"] == "back" else "stale" if stale else "decided"}
    if another_boot and (stale or rewound):
        said.add("journal_set_back")
    if not another_boot and rewound:
        said.add("odometer_rewound")
    newer = {"on": True, "back": ways["connection"] == "on"}.get(ways["boot_id"])
    if newer is None:
        newer = ways["connection"] == "on" or (ways["connection"] == "same" and ways["uptime_ms"] == "on")
    said.add("state counts" if newer else "state is older")
    if ways["event_id"] == "on":
        said.add("flow booked")
    return said


@dataclass
class Past:
    """A node with a past: an earlier boot of connection 4, and one of connection 3 in which it asked and flowed."""

    wire: Wire
    earlier_boot: UUID = field(default_factory=uuid4)
    asked: list[CardPresented] = field(default_factory=list)
    flows: list[UnattributedFlow] = field(default_factory=list)

    @classmethod
    async def of(cls, questions: int, seed: int) -> "Past":
        """So many questions and flows ago."""
        past = cls(Wire(Random(seed)))
        wire, tap = past.wire, past.wire.tap
        latest, tap.boot_id = tap.boot_id, past.earlier_boot
        await wire.deliver(replace(wire.state(), connection=4))
        tap.boot_id = latest
        for _ in range(questions):
            past.asked.append(tap.question(CARD))
            past.flows.append(tap.flow(50))
            await wire.deliver(past.asked[-1])
            await wire.deliver(past.flows[-1])
        await wire.deliver(replace(wire.state(), connection=3, uptime_ms=5_000))
        return past

    async def say(self, ways: dict[str, str]) -> set[str]:
        """The node says something with these words; what the core concludes."""
        wire, tap, books = self.wire, self.wire.tap, self.wire.books
        path = str(tap.path)
        connection = {"same": 3, "on": 5, "back": 2}[ways["connection"]]
        uptime_ms = {"on": 6_000, "back": 4_000}[ways["uptime_ms"]]
        tap.boot_id = {"same": tap.boot_id, "on": uuid4(), "back": self.earlier_boot}[ways["boot_id"]]
        if ways["journal_id"] == "on":
            tap.journal_id = uuid4()
        if ways["odometer"] == "back":
            tap.odometer_ml = 0
        flow, state = tap.flow(30), replace(wire.state(), connection=connection, uptime_ms=uptime_ms)
        question = tap.question(CARD, seq=1 if ways["seq"] == "back" else tap.seq + 1)
        if ways["event_id"] == "back":
            flow, question = self.flows[0], self.asked[0]
        answers, booked = len(books.tables.answers), len(books.tables.flows)

        answer = await books.answer(path, question, uuid4(), 0)
        await books.record_flow(path, flow)
        await books.note_state(path, state)

        node, said = books.tables.nodes[path], wire.accused()
        if len(books.tables.answers) == answers:
            said.add("answered again")
        else:
            said.add("stale" if "stale_request" in answer else "decided")
        counts = (node.boot_id, node.connection, node.uptime_ms) == (tap.boot_id, connection, uptime_ms)
        said.add("state counts" if counts else "state is older")
        return said | ({"flow booked"} if len(books.tables.flows) > booked else set())


@settings(max_examples=5, deadline=None)
@given(questions=st.integers(1, 6), seed=st.integers(0, 2**32))
def test_each_pair_of_a_devices_words_says_what_the_table_says(questions: int, seed: int) -> None:
    async def story(ways: dict[str, str]) -> set[str]:
        past = await Past.of(questions, seed)
        return await past.say(ways)

    for ways in pairs_of_words():
        assert run_now(story(ways)) == conclusions(ways), ways


def test_the_table_has_each_word() -> None:
    page = (Path(__file__).parents[2] / "docs" / "SYSTEM.md").read_text()
    section = page.split("## Conclusions from a device's own word")[1].split("\n## ")[0]
    rows = [line.split("|")[1].strip().strip("`") for line in section.splitlines() if line.startswith("|")]

    assert rows[2:] == list(WORDS)


@dataclass
class Clones:
    """Two nodes of one cloned card, at two taps: one login, one journal. Each connection of the one ends that of the other."""

    wire: Wire
    taps: tuple[SimulatedTap, SimulatedTap] = field(init=False)
    connections: list[int] = field(default_factory=lambda: [0, 0])
    granted: list[list[UUID]] = field(default_factory=lambda: [[], []])
    reported_ml: int = 0
    connected: int | None = None

    def __post_init__(self) -> None:
        one = self.wire.tap
        other = SimulatedTap(one.path, journal_id=one.journal_id, seq=one.seq, odometer_ml=one.odometer_ml)
        self.taps = (one, other)

    @property
    def path(self) -> str:
        """Their tap."""
        return str(self.wire.tap.path)

    @property
    def is_conflict(self) -> bool:
        """True while the core knows of them."""
        return self.wire.books.tables.taps[self.path].identity_conflict

    async def connect(self, number: int) -> None:
        """One of them connects, reads the newest config, and says so."""
        if self.connected == number:
            return
        self.connected = number
        self.connections[number] += 1
        revision = self.wire.books.tables.taps[self.path].revision
        state = self.taps[number].state(connection=self.connections[number], facts_open=1)
        await self.wire.deliver(replace(state, config_revision=revision))

    async def act(self, number: int, step: str, ml: int) -> None:
        """One of them does something."""
        await self.connect(number)
        tap, books = self.taps[number], self.wire.books
        match step:
            case "ask":
                was_conflict = self.is_conflict
                answer = await books.answer(self.path, tap.question(CARD, unsettled=tuple(self.granted[number])), uuid4(), 0)
                if "pour_authorized" in answer:
                    assert not was_conflict
                    self.granted[number].append(msgspec.json.decode(answer, type=PourAuthorized).pour_id)
                await self._renew(number)
            case "pour" if self.granted[number]:
                self.reported_ml += ml
                await books.settle(self.path, tap.report(self.granted[number].pop(), CARD, ml))
            case _:
                self.reported_ml += ml
                await books.record_flow(self.path, tap.flow(ml))

    async def _renew(self, number: int) -> None:
        """The connected node obeys `renew_journal`."""
        commands = [str(payload) for _, payload in await self.wire.books.take_commands()]
        if any("renew_journal" in payload and str(self.taps[number].journal_id) in payload for payload in commands):
            self.taps[number].journal_id, self.taps[number].seq = uuid4(), 0

    def booked_ml(self) -> int:
        """What left the keg in the books."""
        return sum(row.volume_ml for row in self.wire.books.tables.stock)


CLONED_STEPS: Final = ("ask", "ask", "pour", "flow")
CLONED: Final = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(CLONED_STEPS), st.integers(1, 40)), max_size=40)


@settings(max_examples=EXAMPLES, deadline=None)
@given(before=CLONED, actions=CLONED, seed=st.integers(0, 2**32))
def test_what_two_nodes_of_one_card_pour_is_booked_once_and_neither_gets_a_grant_when_both_are_known(
    before: list[tuple[int, str, int]], actions: list[tuple[int, str, int]], seed: int
) -> None:
    async def story() -> None:
        wire = await Wire(Random(seed)).open()
        clones = Clones(wire)
        for _, step, ml in before:
            await clones.act(0, step, ml)
        one, other = clones.taps
        other.seq, other.odometer_ml, other.journal_id = one.seq, one.odometer_ml, one.journal_id
        for number, step, ml in actions:
            await clones.act(number, step, ml)
        for number in (0, 1) * 4:
            await clones.connect(number)

        assert clones.is_conflict
        assert IncidentKind.IDENTITY_CONFLICT in wire.accused()
        assert clones.booked_ml() == clones.reported_ml

    run_now(story())
