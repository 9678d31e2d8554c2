"""What the core concludes from a device's words: nothing that reordering, repetition and delay of an honest node's can produce."""

from dataclasses import dataclass, field
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
