"""What a tap does, as a pure state machine: `step(state, event)` gives the new state and the effects.

No I/O, no clock, no randomness and no logging in here: events bring their moment, effects are data. Valve safety lives here.
"""

from tapwire_node.controller.state import Identity, State, initial_state
from tapwire_node.controller.transitions import last_checkpoint, step

__all__ = ["Identity", "State", "initial_state", "last_checkpoint", "step"]
