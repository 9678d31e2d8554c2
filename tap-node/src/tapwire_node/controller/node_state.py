"""The `node_state` message: its content by the controller's state, and when a change is worth publishing."""

from dataclasses import dataclass, replace
from uuid import UUID

from tapwire_contracts import CONTRACT_VERSION
from tapwire_contracts.messages import NodeState, PresentCard
from tapwire_contracts.reasons import Phase, Presence, ValveState
from tapwire_node.controller.state import State


@dataclass(frozen=True, slots=True)
class PublishedState:
    """The part of `node_state` that the controller's state determines."""

    phase: Phase
    valve_open: bool
    card: PresentCard | None
    pour_id: UUID | None
    facts_open: int
    odometer_ml: int
    journal_id: UUID
    config_revision: int


def published_state(state: State) -> PublishedState:
    """Extract what is published. The odometer is the one on disk, so that a power cut never takes a published value back."""
    card = state.card
    return PublishedState(
        phase=state.phase,
        valve_open=state.valve_open,
        card=PresentCard(card_uid=card.card_uid, reader_id=state.identity.reader_id, read_at=card.read_at) if card else None,
        pour_id=state.pour.pour_id if state.pour else None,
        facts_open=state.facts_open,
        odometer_ml=state.journal.odometer_ml,
        journal_id=state.journal.journal_id,
        config_revision=state.config.revision if state.config else 0,
    )


def is_worth_publishing(before: PublishedState, after: PublishedState) -> bool:
    """True when the change needs a new `node_state`; a change of the odometer alone only while no fact is open."""
    if before.odometer_ml != after.odometer_ml and after.facts_open == 0:
        return True
    return replace(before, odometer_ml=after.odometer_ml) != after


def node_state_message(state: State, presence: Presence, connection: int, *, software: str, uptime_ms: int) -> NodeState:
    """Build the `node_state` message; with presence OFFLINE (the last will), what is true of a node that is gone."""
    now = published_state(state)
    is_online = presence is Presence.ONLINE
    return NodeState(
        status=presence,
        phase=now.phase if is_online else Phase.OUT_OF_SERVICE,
        valve=ValveState.OPEN if is_online and now.valve_open else ValveState.CLOSED,
        card=now.card if is_online else None,
        pour_id=now.pour_id if is_online else None,
        facts_open=now.facts_open,
        odometer_ml=now.odometer_ml,
        journal_id=now.journal_id,
        boot_id=state.identity.boot_id,
        connection=connection,
        config_revision=now.config_revision,
        software=software,
        contract_version=CONTRACT_VERSION,
        uptime_ms=uptime_ms,
        heartbeat_ms=state.limits.node_heartbeat_ms,
    )
