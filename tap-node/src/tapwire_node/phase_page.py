"""`python -m tapwire_node.phase_page`, part of `make schemas`: write docs/tap-node-phases.md from the controller's table."""

from pathlib import Path
from typing import Final

from tapwire_node.controller.phase_diagram import mermaid

FILE: Final = Path("docs/tap-node-phases.md")


def document() -> str:
    """The page with the drawing."""
    return f"""# The phases of a tap

Made from `TRANSITIONS` in `tap-node/src/tapwire_node/controller/transitions.py` by `make schemas`; a test compares the two.

```mermaid
{mermaid()}
```

An arrow is an event that can change the phase; whether it does is decided by the function that the table names. Among the phases
at rest there are no arrows: after each step, whatever happened, a resting tap takes the first of these that fits:

| phase | when |
|---|---|
| `FAULT` | the valve or the meter can't be trusted |
| `OUT_OF_SERVICE` | no reader, no writable journal, no active config, a core worker of another contract, a service run, the end |
| `CARD_MUST_BE_REMOVED` | the reader has not been empty for the debounce time since the last pour, denial or give-up |
| `IDLE` | otherwise |

A service run (cleaning, calibration, test) is no phase of its own: the tap is `OUT_OF_SERVICE` while it goes on.
"""


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
