"""The command line of `make demo`: until Ctrl-C, or for so many seconds."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import FrameType
from typing import Final

from tapwire_demo.address import AddressUnusable, ConsoleAddress
from tapwire_demo.arguments import MakeParser, port_number, seconds_above_zero
from tapwire_demo.broker import BrokerKind, best_broker
from tapwire_demo.demo import DemoFailed, run_demo
from tapwire_demo.demo_file import FOLDER
from tapwire_demo.embedded_broker import EmbeddedBrokerError
from tapwire_demo.postgres_home import EmbeddedPostgresError
from tapwire_demo.processes import LOOPBACK
from tapwire_demo.programs import ProgramFailed
from tapwire_demo.screen import Screen

ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Run the demo; exits with 1 and a clear text when it can't be shown or its books don't balance."""
    arguments = _parser().parse_args()
    screen, failed = Screen(), False
    try:
        address = ConsoleAddress.usable(arguments.host, arguments.port)
        demo = run_demo(arguments.folder.resolve(), arguments.seconds, arguments.broker, address, screen)
        asyncio.run(_until_told(demo, screen))
    except* (AddressUnusable, DemoFailed, ProgramFailed, EmbeddedBrokerError, EmbeddedPostgresError) as failures:
        failed = True
        for failure in _single(failures):
            print(f"make demo: {failure}", file=sys.stderr)
    sys.exit(1 if failed else 0)


async def _until_told(demo: Coroutine[None, None, None], screen: Screen) -> None:
    """Run the demo; the first signal to end makes it clear up, and no further one disturbs that, to the end of this process."""
    loop, running = asyncio.get_running_loop(), asyncio.ensure_future(demo)

    def end() -> None:
        screen.say("Ending …", "dim")
        running.cancel()

    def take(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        _treat_endings(signal.SIG_IGN)
        loop.call_soon_threadsafe(end)

    _treat_endings(take)
    await asyncio.wait([running])
    _treat_endings(signal.SIG_IGN)
    if not running.cancelled():
        running.result()


def _treat_endings(handler: signal.Handlers | Callable[[int, FrameType | None], None]) -> None:
    """Not through the event loop, which would set what Python does by default when it is closed."""
    for number in ENDINGS:
        signal.signal(number, handler)


def _single(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _single(error)
        else:
            yield error


def _parser() -> argparse.ArgumentParser:
    parser = MakeParser(prog="make demo", description="A whole bar on this machine, with guests who pour.")
    parser.add_argument(
        "--seconds", type=seconds_above_zero, metavar="N", help="end by itself after N seconds, and check the books"
    )
    parser.add_argument("--port", type=port_number, help="the console's (default: a free one)")
    parser.add_argument("--host", default=LOOPBACK, help=f"the console's; 0.0.0.0 lets other machines in (default {LOOPBACK})")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where its data are kept ({FOLDER}, unless said otherwise)")
    parser.add_argument("--broker", type=BrokerKind, choices=list(BrokerKind), default=best_broker(), help="which one to embed")
    return parser
