"""The tap as a pure state machine: `step(state, event)` returns the new state and the effects to carry out.

No I/O, no clock, no randomness and no logging in this package: an event carries its moment, an effect is data. Valve safety
is decided here and nowhere else.

Inputs are `events`, outputs are `effects`, everything remembered is `state`; `flow_facts` are the reports that must reach the core.
"""

from tapwire_node.controller.state import Identity, State, initial_state
from tapwire_node.controller.transitions import last_checkpoint, step

__all__ = ["Identity", "State", "initial_state", "last_checkpoint", "step"]
