"""One poisoned device, and how the others are served beside it: `make poison SECONDS=n` prints how much slower they are.

The device floods what can't be read, or replays old messages of another tap under its own name. It can't write on another's topics:
the broker's rules see to that.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count, cycle
from statistics import median
from typing import Final

from aiomqtt import Client

from tapwire_contracts.codec import encode
from tapwire_contracts.topics import ROOT
from tests.chaos.kept import besides
from tests.chaos.load import LoadTap
from tests.chaos.monkey import nonsense
from tests.chaos.site import FLOODER, Site, open_site
from tests.venue import SimulatedTap

Messages = Iterator[tuple[str, str | bytes]]
"""Topics' leaves and payloads."""
TAPS: Final = 8
PAUSE_S: Final = 0.05
"""Between two cycles of a tap, so that the machine is not at its limit before the flood begins."""
AT_ONCE: Final = 20
"""Messages that the device has on their way."""


@asynccontextmanager
async def flooding(site: Site, messages: Messages) -> AsyncIterator[None]:
    """A device that publishes as fast as the broker takes it, during the block."""
    account = site.broker.account(str(FLOODER))
    async with Client(
        site.broker.host,
        site.broker.device_port,
        username=account.username,
        password=account.password,
        identifier=account.username,
    ) as client:

        async def publish() -> None:
            for leaf, payload in messages:
                await client.publish(f"{ROOT}/{FLOODER}/{leaf}", payload, qos=1)

        async with besides(*(publish() for _ in range(AT_ONCE))):
            yield


def garbage() -> Messages:
    """Nonsense without end."""
    for _ in count():
        yield from nonsense(3_000)


def replayed(victim: LoadTap) -> Messages:
    """Another tap's question and report, again and again."""
    card_uid, old = victim.stranger.card_uid, SimulatedTap(victim.stranger.path)
    question = old.question(card_uid)
    report = old.report(question.event_id, card_uid, 0)
    yield from cycle([("card", encode(question)), ("pour/completed", encode(report))])


async def serve(taps: list[LoadTap], seconds: float) -> list[float]:
    """Let the taps pour for so long; how long each answer took, in s."""
    for tap in taps:
        tap.waits_s.clear()
    deadline = time.monotonic() + seconds

    async def pour_on(tap: LoadTap) -> None:
        while time.monotonic() < deadline:
            verdict = await tap.pour()
            assert verdict["type"] == "pour_settled", verdict
            await asyncio.sleep(PAUSE_S)

    await asyncio.gather(*(pour_on(tap) for tap in taps))
    return [wait_s for tap in taps for wait_s in tap.waits_s]


async def compare(seconds: float) -> None:
    """Print how fast answers come without and beside each kind of poison."""
    async with open_site(0, strangers=TAPS) as site, AsyncExitStack() as stack:
        taps = [await stack.enter_async_context(LoadTap.connected(site, stranger)) for stranger in site.strangers]
        await serve(taps, seconds / 4)
        poisons: dict[str, Callable[[], Messages]] = {
            "garbage": garbage,
            "replay": lambda: replayed(taps[0]),
        }
        alone = await serve(taps, seconds)
        tell("alone", alone, alone)
        for name, poison in poisons.items():
            async with flooding(site, poison()):
                tell(f"beside {name}", await serve(taps, seconds), alone)
        tell("alone again", await serve(taps, seconds), alone)


def tell(name: str, waits_s: list[float], alone_s: list[float]) -> None:
    """One line of the comparison."""
    at = sorted(waits_s)
    p99_s = at[len(at) * 99 // 100]
    ratio = median(waits_s) / median(alone_s)
    print(
        f"{name:<16} {len(at):6} answers, median {median(at) * 1_000:6.1f} ms ({ratio:.2f} × alone), p99 {p99_s * 1_000:6.1f} ms",
        flush=True,
    )


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make poison", description="How others are served beside a poisoned device.")
    parser.add_argument("--seconds", type=float, default=10.0)
    asyncio.run(compare(parser.parse_args().seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
