"""`python -m tapwire_node.phase_page`, part of `make schemas`: write docs/tap-node-phases.md from the transition table."""

from pathlib import Path
from typing import Final

from tapwire_node.controller.phase_diagram import mermaid

FILE: Final = Path("docs/tap-node-phases.md")


def document() -> str:
    """The page with the diagram."""
    return f"""# The phases of a tap

`make schemas` makes this page from `TRANSITIONS` in `tap-node/src/tapwire_node/controller/transitions.py`; a test
compares the two.

```mermaid
{mermaid()}
```

An arrow names an event that can change the phase; the handler in the table decides if it does. The phases at rest have
no arrows between them: after each step a resting tap takes the first of these that applies:

| phase | when |
|---|---|
| `FAULT` | the valve or the meter is broken |
| `OUT_OF_SERVICE` | no reader, no writable journal, no active config, a core worker of another contract, a service run, shutdown |
| `CARD_MUST_BE_REMOVED` | the reader has not been empty for the debounce time since the last pour, denial or abandoned question |
| `IDLE` | otherwise |

A service run (cleaning, calibration, test) is not a phase: the tap is `OUT_OF_SERVICE` meanwhile.
"""


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
