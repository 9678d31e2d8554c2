"""From an event at a tap to the console in a browser, while many taps pour: the whole way, through broker, admin API and page."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import psutil
from msgspec import Struct, convert
from playwright.async_api import Page

from tapwire_core.domain.closed_sets import Role
from tapwire_core.services import users
from tapwire_demo.demo_file import Login
from tests.bench.meters import Spread, Use
from tests.bench.pouring import Poured, PouringPlan, Said
from tests.bench.stage import Stage, carry_out
from tests.browser.console import Console, open_chromium
from tests.venue import OPERATOR

VIEWER: Final = Login("viewer", "a-long-password")
SPREAD_S: Final = 8.0
"""So long it takes until all pour."""
LAST_LOOK_S: Final = 2.0
WATCH: Final = """() => {
  window.seen = [];
  const shown = new Map();
  const look = (tap) => {
    const ml = parseInt(tap.querySelector("[data-live=ml]")?.textContent.replace(/\\D/g, "") ?? "0");
    const now = [tap.dataset.tap, tap.dataset.phase, tap.dataset.pour || null, ml || 0];
    if (shown.get(now[0]) === now.join()) return;
    shown.set(now[0], now.join());
    window.seen.push([performance.timeOrigin + performance.now(), ...now]);
  };
  new MutationObserver((changes) => {
    const taps = new Set();
    for (const { target } of changes) {
      const element = target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement;
      const tap = element?.closest("[data-tap]");
      if (tap) taps.add(tap);
    }
    taps.forEach(look);
  }).observe(document.querySelector(".taps"), { subtree: true, childList: true, characterData: true, attributes: true });
}"""
"""Notes when a tap's card shows another phase, pour or volume."""


class Seen(Struct, frozen=True, array_like=True):
    """A tap's card, from a time in milliseconds since 1970 on."""

    at_ms: float
    path: str
    phase: str
    pour_id: UUID | None
    volume_ml: int


class ScreenFigures(Struct, frozen=True):
    """Latencies of the console's screen; processor time as a share of one core."""

    taps: int
    pours: int
    messages: int
    progress: Spread
    """From a progress message to its volume, or a newer one, on the tap's card."""
    overtaken: float
    """The share of messages that the end of their pour overtook before they were shown."""
    card: Spread
    """From the card laid on the reader to the word that the tap pours."""
    cpu_share: dict[str, float]


async def watch(stage: Stage, seconds: float) -> ScreenFigures:
    """Let all taps of the stage pour, before the eyes of one browser."""
    await users.create_user(stage.db, OPERATOR, VIEWER.username, Role.OPERATOR, VIEWER.password)
    plan = PouringPlan(stage.plans(len(stage.places)), SPREAD_S, seconds)
    async with stage.admin() as (url, admin_pid), _taps_page(url) as (page, browser_pids):
        pids = {"admin API": [admin_pid], "core": [core.pid for core in stage.cores], "browser": browser_pids}
        before = {name: Use.of(those).cpu_s for name, those in pids.items()}
        poured = await carry_out("tests.bench.pouring", plan, Poured)
        used_s = {name: Use.of(those).cpu_s - before[name] for name, those in pids.items()} | {"load": poured.cpu_s}
        await asyncio.sleep(LAST_LOOK_S)
        seen = convert(await page.evaluate("window.seen"), list[Seen])
    if poured.denied:
        raise RuntimeError(f"{poured.denied} cards were denied")
    return _figures(poured, seen, {name: round(cpu_s / (SPREAD_S + seconds), 2) for name, cpu_s in used_s.items()})


@asynccontextmanager
async def _taps_page(url: str) -> AsyncIterator[tuple[Page, list[int]]]:
    """The taps as an operator watches them, and the processes of the browser."""
    others = {process.pid for process in psutil.Process().children(recursive=True)}
    async with open_chromium() as browser, Console.opened(browser, url) as console:
        await console.log_in(VIEWER)
        page = await console.see("/")
        await page.evaluate(WATCH)
        yield page, _roots(process for process in psutil.Process().children(recursive=True) if process.pid not in others)


def _roots(processes: Iterable[psutil.Process]) -> list[int]:
    """Those that none of the others has started."""
    found = {process.pid: process for process in processes}
    return [pid for pid, process in found.items() if process.ppid() not in found]


def _figures(poured: Poured, seen: list[Seen], cpu_share: dict[str, float]) -> ScreenFigures:
    of_pour: dict[UUID, list[Seen]] = defaultdict(list)
    for one in seen:
        if one.pour_id is not None and one.phase == "POURING":
            of_pour[one.pour_id].append(one)
    progress_ms = [_waited_ms(said, of_pour[said.pour_id]) for said in poured.progress]
    card_ms = [_waited_ms(said, of_pour[said.pour_id]) for said in poured.cards]
    shown_ms = [waited_ms for waited_ms in progress_ms if waited_ms is not None]
    return ScreenFigures(
        taps=len({said.path for said in poured.cards}),
        pours=poured.settled,
        messages=len(poured.progress),
        progress=Spread.of(shown_ms),
        overtaken=round(1 - len(shown_ms) / max(len(progress_ms), 1), 4),
        card=Spread.of([waited_ms for waited_ms in card_ms if waited_ms is not None]),
        cpu_share=cpu_share,
    )


def _waited_ms(said: Said, seen: list[Seen]) -> float | None:
    """Time until the card showed this or more of the pour; None if it never did."""
    return next((one.at_ms - said.at_ms for one in seen if one.volume_ml >= said.volume_ml), None)


def as_rows(figures: ScreenFigures) -> dict[str, str]:
    """The figures as people read them."""
    progress, card = figures.progress, figures.card
    used = ", ".join(f"{name} {share:.0%}" for name, share in figures.cpu_share.items())
    return {
        f"event to screen: {figures.taps} taps pour, progress to the console's page": (
            f"p50 {progress.p50_ms:.0f} ms, p95 {progress.p95_ms:.0f} ms, p99 {progress.p99_ms:.0f} ms "
            f"({figures.messages:,} messages, {figures.overtaken:.1%} overtaken by the end of their pour)"
        ),
        'event to screen: card laid on to "Pouring" on the page': (
            f"p50 {card.p50_ms:.0f} ms, p95 {card.p95_ms:.0f} ms, p99 {card.p99_ms:.0f} ms ({figures.pours:,} pours)"
        ),
        "event to screen: processor time, of one core": used,
    }
