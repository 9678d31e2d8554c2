"""Drawings of the site that are made from code: the states of a pour, and the phases of a tap. They are SVG."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tapwire_contracts.reasons import Phase, SyncStatus
from tapwire_core.domain.pours import TRANSITIONS as POUR_TRANSITIONS
from tapwire_node.controller.phase_diagram import edges
from tapwire_node.controller.state import RESTING_PHASES

DRAWN: Final = Path(__file__).parents[1] / "drawings"
LINE: Final = 30
"""Height of one transition of a pour."""
ROW: Final = 17
"""Height of one event's name."""


def drawings() -> dict[str, str]:
    """Every drawing that is made, by its file's name."""
    return {"pour-states.svg": pour_states(), "tap-phases.svg": tap_phases()}


def pour_states() -> str:
    """Every transition of a pour, grouped by the state that it ends in."""
    ends: dict[SyncStatus, list[str]] = {}
    for (_, event), after in POUR_TRANSITIONS.items():
        ends.setdefault(after, []).append(event.value)
    parts, y = [], 30
    heights = []
    for state, events in ends.items():
        top = y - 16
        for event in events:
            heights.append(y)
            parts += [f'<path class="line strong" d="M214 {y}H532"/>', _tip(540, y), _text(228, y - 6, event)]
            y += LINE
        parts += [_box(540, top, 170, y - top - 6), _text(625, (top + y - 6) / 2 + 5, state, "name code middle")]
        y += 14
    middle = (heights[0] + heights[-1]) / 2
    parts += [
        f'<path class="line strong" d="M184 {middle:g}H214M214 {heights[0]}V{heights[-1]}"/>',
        _box(24, middle - 24, 160, 48),
        _text(104, middle + 5, SyncStatus.PENDING_SYNC, "name code middle"),
        f'<path class="line" d="M104 {middle - 62:g}V{middle - 32:g}"/>',
        f'<path class="tip" d="M104 {middle - 24:g}l-4-10h8z"/>',
        _text(104, middle - 70, "granted", "middle"),
    ]
    return _svg(734, y, "The states of a pour: pending_sync, and the four states in which it ends", parts)


def tap_phases() -> str:
    """The phases at rest on the left, the phases of a pour on the right, and the events that lead from one to another."""
    labels: dict[tuple[Phase, Phase], list[str]] = {}
    for before, after, event in edges():
        labels.setdefault((before, after), []).append(event)
    removal = Phase.CARD_MUST_BE_REMOVED
    places = {
        Phase.IDLE: 60, removal: 250, Phase.OUT_OF_SERVICE: 400, Phase.FAULT: 480,
        Phase.AUTHORIZING: 60, Phase.POURING: 250, Phase.SETTLING: 480,
    }  # fmt: skip
    arrows: Mapping[tuple[Phase, Phase], tuple[str, str, tuple[int, int], int]] = {
        (Phase.IDLE, Phase.AUTHORIZING): ("M244 80H572", "M580 80l-10-4v8z", (400, 74), 1),
        (Phase.IDLE, removal): ("M134 104V242", "M134 250l-4-10h8z", (144, 178), 1),
        (Phase.AUTHORIZING, removal): ("M580 94H560V264H252", "M244 264l10-4v8z", (272, 154), 2),
        (Phase.AUTHORIZING, Phase.POURING): ("M660 104V242", "M660 250l-4-10h8z", (672, 178), 1),
        (Phase.POURING, Phase.SETTLING): ("M660 294V472", "M660 480l-4-10h8z", (672, 312), 1),
        (Phase.SETTLING, removal): ("M580 502H420V280H252", "M244 280l10-4v8z", (432, 476), 1),
    }
    if labels.keys() != arrows.keys() or set(places) != set(Phase):
        raise ValueError(f"tap_phases draws {sorted(arrows)}, the table has {sorted(labels)}")
    parts = ['<rect class="line dashed" x="12" y="40" width="244" height="496" rx="12"/>', _text(30, 30, "at rest", "soft")]
    for phase, y in places.items():
        x, width = (24, 220) if phase in RESTING_PHASES else (580, 160)
        parts += [_box(x, y, width, 44), _text(x + width / 2, y + 27, phase, "name code middle")]
    for pair, (line, tip, (x, y), columns) in arrows.items():
        parts += [f'<path class="line strong" d="{line}"/>', f'<path class="tip strong" d="{tip}"/>']
        rows = -(-len(labels[pair]) // columns)
        parts += [_text(x + (i // rows) * 144, y + (i % rows) * ROW, name, "soft") for i, name in enumerate(labels[pair])]
    return _svg(830, 550, "The phases of a tap and the events that lead from one to another", parts)


def inline(file: Path) -> str:
    """A drawing as a part of a page, where it takes the page's colours and scheme."""
    return _for_page(file.read_text(encoding="utf-8"))


def inline_made(name: str) -> str:
    """A drawing that is made, as a part of a page."""
    return _for_page(drawings()[name])


def _for_page(svg: str) -> str:
    width = re.search(r'viewBox="0 0 (\d+)', svg)
    assert width is not None
    lines = (line.strip() for line in svg.replace(' style="color-scheme: light dark"', "").splitlines())
    return f'<div class="drawing" tabindex="0" style="--drawn: {width[1]}px">{"".join(lines)}</div>'


def _svg(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    style = re.search(r"<style>.*?</style>", (DRAWN / "overview.svg").read_text(encoding="utf-8"), re.DOTALL)
    assert style is not None
    return "\n".join(_lines(width, height, title, style[0], parts))


def _lines(width: int, height: int, title: str, style: str, parts: Iterable[str]) -> Iterator[str]:
    yield f'<svg xmlns="http://www.w3.org/2000/svg" class="drawn" viewBox="0 0 {width} {height}" role="img">'
    yield f"<title>{title}</title>"
    yield style
    yield from parts
    yield "</svg>"


def _box(x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="box" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="10"/>'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{text}</text>'


def _tip(x: float, y: float) -> str:
    return f'<path class="tip strong" d="M{x:g} {y:g}l-10-4v8z"/>'
