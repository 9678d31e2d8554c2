"""The folder of each simulated tap: its tap.toml, its secret, the scenario of its guests, and its journal, which survives."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tapwire_core.broker.private_file import write_private
from tapwire_demo.bar import BarTap, Drinker
from tapwire_demo.embedded_broker import EmbeddedBroker

PATIENCE_MS: Final = 1_500
"""Time for which a refused guest waits."""
PAUSE_MS: Final = 2_500
"""Between two guests: long enough for the last pour to be settled, or the next card is not looked at before it was lifted."""


def write_tap_files(folder: Path, tap: BarTap, secret: str, broker: EmbeddedBroker, cards: Mapping[str, str]) -> Path:
    """Write the tap's files and return its tap.toml; `cards` has the card of each guest who is here, by phone number."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / "secret", secret)
    drinkers = [_guest(drinker, cards[drinker.person.phone]) for drinker in tap.drinkers if drinker.person.phone in cards]
    if drinkers:
        write_private(folder / "guests.toml", "repeat = true\n" + "".join(drinkers))
    write_private(folder / "tap.toml", _settings(tap, broker, has_guests=bool(drinkers)))
    return folder / "tap.toml"


def _settings(tap: BarTap, broker: EmbeddedBroker, *, has_guests: bool) -> str:
    return f"""\
[tap]
path = {_quoted(str(tap.path))}

[broker]
url = {_quoted(f"mqtt://{broker.host}:{broker.device_port}")}
password_file = "secret"
protocol = {_quoted(broker.protocol)}

[journal]
file = "journal.sqlite"

[hardware]
driver = "simulated"
{'scenario = "guests.toml"' if has_guests else ""}
"""


def _guest(drinker: Drinker, card_uid: str) -> str:
    leaves = "" if drinker.leave_after_ml is None else f"leave_after_ml = {drinker.leave_after_ml}\n"
    return f"""
[[guests]]  # {drinker.person.first_name}
cards = [{_quoted(card_uid)}]
flow_ml_per_s = {drinker.flow_ml_per_s}
{leaves}patience_ms = {PATIENCE_MS}
pause_ms = {PAUSE_MS}
"""


def _quoted(text: str) -> str:
    """A TOML string; JSON's are that too."""
    return json.dumps(text)
