"""The console's devices: the address of a tap's screen."""

import io
import re
from html import unescape

import segno

from tapwire_core.domain.closed_sets import Role
from tapwire_core.services.devices import add_device
from tests.integration.rest.test_console_users import in_browser
from tests.rest import Rest, log_in
from tests.venue import OPERATOR, Venue


async def test_a_screens_address_is_a_link_to_copy_and_a_code_to_scan_that_opens_the_screen(rest: Rest, venue: Venue) -> None:
    await add_device(venue.db, OPERATOR, "bar/taps/left")
    await add_device(venue.db, OPERATOR, "bar/readers/desk")
    headers = in_browser(await log_in(venue.db, Role.ENGINEER))

    async def dialog(path: str) -> str:
        return unescape((await rest.nobody.get(f"/devices/rotate?path={path}", headers=headers)).text)

    shown = await dialog("bar/taps/left")
    link = re.search(r'<a class="secret" href="([^"]*)"[^>]*data-screen>', shown)
    assert link is not None
    assert f'data-copy="{link[1]}"' in shown
    assert drawn(shown) == modules(link[1])
    assert (await rest.nobody.get(link[1])).status_code == 303, "it opens the screen"
    assert "<svg viewBox" not in await dialog("bar/readers/desk")


def modules(text: str) -> set[tuple[int, int]]:
    """The dark modules of a text's QR code, by column and row, with its quiet zone of four."""
    terminal = io.StringIO()
    segno.make(text, micro=False).save(terminal, kind="txt", border=4)
    rows = terminal.getvalue().splitlines()
    return {(column, row) for row, line in enumerate(rows) for column, module in enumerate(line) if module == "1"}


def drawn(page: str) -> set[tuple[int, int]]:
    """The dark modules that the page's SVG draws, by its strokes of one module's height."""
    path = re.search(r'stroke="#000"[^>]* d="([^"]*)"|d="([^"]*)"[^>]*stroke="#000"', page)
    assert path is not None
    found, column, row = set(), 0, 0.0
    for step, numbers in re.findall(r"([Mmh])([-0-9. ]+)", path[1] or path[2]):
        values = [float(number) for number in re.findall(r"-?[0-9.]+", numbers)]
        if step == "h":
            found |= {(column + offset, int(row)) for offset in range(int(values[0]))}
            column += int(values[0])
        else:
            column, row = (int(values[0]), values[1]) if step == "M" else (column + int(values[0]), row + values[1])
    return found
