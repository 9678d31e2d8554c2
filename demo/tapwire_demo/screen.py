"""The story on the terminal: one line an event, and below them, where it is a terminal, what each tap does now."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tapwire_demo.story import Line, Mood, TapNow

STYLES: Final[Mapping[Mood, str]] = {Mood.PLAIN: "", Mood.QUIET: "dim", Mood.GOOD: "green", Mood.BAD: "bold red"}
REFRESHES_PER_S: Final = 5
BAR_WIDTH: Final = 30
TAP_WIDTH: Final = 8


class Screen:
    """Lines to standard output; plain ones when that is not a terminal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def say(self, text: str = "", style: str = "") -> None:
        """A line that is no part of the story; it is never broken, so that it can be copied."""
        self._console.print(Text(text, style), soft_wrap=True)

    def tell(self, lines: Iterable[Line]) -> None:
        """Lines of the story, with the time of day."""
        now = datetime.now().astimezone()
        for line in lines:
            text = Text.assemble(
                (f"{now:%H:%M:%S}  ", "dim"), (f"{line.tap:{TAP_WIDTH}}", "bold cyan"), (line.text, STYLES[line.mood])
            )
            self._console.print(text, soft_wrap=True)

    @contextmanager
    def showing(self, taps: Iterable[TapNow]) -> Iterator[None]:
        """Show below the story what each tap does; nothing when there is no terminal."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            get_renderable=lambda: taps_table(taps), console=self._console, refresh_per_second=REFRESHES_PER_S, transient=True
        ):
            yield


def taps_table(taps: Iterable[TapNow]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("tap", "beverage", "now", "guest", "", ""):
        table.add_column(Text(heading, "dim"))
    for tap in tuple(taps):  # others may come while this is drawn
        now = tap.phase.lower().replace("_", " ") or "no node"
        table.add_row(Text(tap.name, "bold cyan"), Text(tap.beverage), now, Text(tap.guest), *_poured(tap))
    return table


def _poured(tap: TapNow) -> tuple[RenderableType, str]:
    if not tap.max_volume_ml:
        return "", ""
    bar = ProgressBar(total=tap.max_volume_ml, completed=tap.volume_ml, width=BAR_WIDTH, complete_style="cyan")
    return bar, f"{tap.volume_ml} of {tap.max_volume_ml} ml"
