"""What a node says of itself on the wire."""

from tapwire_contracts import CONTRACT_VERSION
from tapwire_contracts.messages import NodeState
from tapwire_contracts.reasons import Phase, Presence, ValveState
from tapwire_node.controller import State
from tapwire_node.controller.state import shown


def describe(state: State, presence: Presence, connection: int, *, software: str, uptime_ms: int) -> NodeState:
    """The `node_state` of a controller's state; as a last will, what is true of a node that is gone."""
    now = shown(state)
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
    )
