"""Measurements, one function each; all in one run, so that the figures are comparable."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

import asyncpg
import msgspec
from aiomqtt import MqttError
from msgspec import Struct

from tapwire_core.domain.serving_limits import MAX_LIMIT, VolumeLimit
from tapwire_core.services.books import check_books
from tapwire_core.services.venues import change_venue
from tapwire_core.services.visits import rearm
from tapwire_node.runtime.tap_node import running_node
from tapwire_node.settings import Settings
from tests.bench.limit import pgbench_cycles_per_s
from tests.bench.load import POUR_ML, Plan
from tests.bench.meters import Spread, cpu_between, ratio_by_turns
from tests.bench.stage import Place, Stage
from tests.integration.node.rig import CARD, WAIT_S, Rig, core_at, tap_settings
from tests.mqtt_tap import MqttTap, connect_tap
from tests.unit.core.crowd import fill
from tests.venue import OPERATOR

COMMITS: Final = 500
FILL_TIMEOUT_S: Final = 600
HISTORY: Final = 10_000
"""Pours of one guest."""
WINDOW_MINUTES: Final = 720
TURNS: Final = 6
TURN_RATE: Final = 25.0
TRIES: Final = 6
PARTS: Final = 5
"""Of the long run."""
NODE_POURS: Final = 12
NODE_FLOW_ML_PER_S: Final = 50
NODE_CAP_ML: Final = 60
BACKLOG_TAPS: Final = 16
BACKLOG_PATIENCE_S: Final = 120.0
ASK_AGAIN_S: Final = 0.5
LOOK_S: Final = 0.000_5
"""Between two looks at the valve: who looks all the time keeps the interpreter from the thread that writes the journal."""
BYTES_PER_MB: Final = 1 << 20


class Closed(Struct, frozen=True):
    """Taps that pour one after the other without a pause, or at a rate."""

    taps: int
    workers: int
    cycles_per_s: float
    authorise: Spread
    settle: Spread
    errors: int
    cpu_ms_a_cycle: dict[str, float]
    load_cpu_share: float
    core_mb: int


class NodeFigures(Struct, frozen=True):
    """A tap node with simulated hardware, its broker between it and us both times."""

    card_to_question: Spread
    grant_to_valve: Spread
    overshoot_ml: list[int]


async def echo(stage: Stage, seconds: float) -> Spread:
    """A message to the broker, to another client, and back the same way."""
    measured = await stage.run(Plan("echo", stage.plans(1), seconds, echo_by=stage.login("core")))
    return Spread.of(measured.first_ms)


async def commit(stage: Stage) -> Spread:
    """One row written and synced to disk."""
    took_ms = []
    connection = await asyncpg.connect(stage.postgres.url)
    try:
        await connection.execute("CREATE TABLE bench_commits (number bigint)")
        for number in range(COMMITS):
            began_s = time.monotonic()
            await connection.execute("INSERT INTO bench_commits VALUES ($1)", number)
            took_ms.append((time.monotonic() - began_s) * 1_000)
        await connection.execute("DROP TABLE bench_commits")
    finally:
        await connection.close()
    return Spread.of(took_ms)


async def limit(stage: Stage, places: list[Place], seconds: int) -> float:
    """Cycles a second of the same SQL from pgbench."""
    with tempfile.TemporaryDirectory(prefix="tapwire-pgbench-") as folder:
        return round(await pgbench_cycles_per_s(stage, places, seconds, Path(folder)), 1)


async def closed_loop(stage: Stage, taps: int, seconds: float, rate: float | None = None) -> Closed:
    """Cycles of card, grant, report and verdict over MQTT, with the core workers that run."""
    before = stage.uses()
    measured = await stage.run(Plan("cycle", stage.plans(taps), seconds, rate=rate))
    after, cycles = stage.uses(), len(measured.second_ms)
    return Closed(
        taps=taps,
        workers=len(stage.cores),
        cycles_per_s=round(cycles / measured.seconds, 1),
        authorise=Spread.of(measured.first_ms),
        settle=Spread.of(measured.second_ms),
        errors=measured.errors,
        cpu_ms_a_cycle={**cpu_between(before, after, cycles), "load": round(measured.cpu_s * 1_000 / max(cycles, 1), 2)},
        load_cpu_share=round(measured.cpu_s / measured.seconds, 2),
        core_mb=after["core"].resident_bytes // BYTES_PER_MB // max(len(stage.cores), 1),
    )


async def steady(stage: Stage, taps: int, seconds: float) -> list[Closed]:
    """The same for long, in parts of equal length: what decays shows in the last of them."""
    return [await closed_loop(stage, taps, seconds / PARTS) for _ in range(PARTS)]


async def quickest(stage: Stage, taps: int, seconds: float) -> Closed:
    """The run with the shortest wait for a grant: what is compared over minutes must not depend on what else a moment brought."""
    runs = [await closed_loop(stage, taps, seconds / TRIES) for _ in range(TRIES)]
    return min(runs, key=lambda run: run.authorise.p50_ms)


async def backlog(stage: Stage, reports: int) -> float:
    """Reports a second, when taps that were offline all come back at once."""
    plan = Plan("backlog", stage.plans(BACKLOG_TAPS), BACKLOG_PATIENCE_S, reports=reports)
    measured = await stage.run(plan)
    if measured.errors:
        raise RuntimeError(f"{measured.errors} of {reports} reports got no verdict")
    return round(reports / measured.seconds, 1)


async def grow(stage: Stage, rows: int) -> None:
    """Give the venue a long past. The books don't balance with it, so they are checked before."""
    differences = await check_books(stage.db)
    if differences:
        raise RuntimeError(f"the books don't balance after the load: {differences}")
    stage.venue.tap.journal_id = uuid4()  # the past has an odometer of its own
    await fill(stage.venue, stage.db, rows)
    for statement in ("VACUUM ANALYZE", "CHECKPOINT"):  # what the filling leaves to be done is not part of the history
        await stage.db.pool.execute(statement, timeout=FILL_TIMEOUT_S)


class LimitTurns(Struct, frozen=True):
    """Waits for a grant by turns, without a serving limit and with one; the guest has a long history."""

    without_ms: list[float]
    limited_ms: list[float]

    @property
    def ratio(self) -> float:
        """The median of each turn's p50 with a limit over that without one right before or after it."""
        return ratio_by_turns(self.limited_ms, self.without_ms, digits=3)


async def serving_limit(stage: Stage, seconds: float) -> LimitTurns:
    """The same tap and guest at a pace that no queue disturbs; the history is older than the limit's window."""
    guest, turns = stage.places[0].guest, LimitTurns([], [])
    await stage.db.pool.execute(_HISTORY, HISTORY, guest.guest_id, stage.venue.venue_id, timeout=FILL_TIMEOUT_S)
    await stage.db.pool.execute("VACUUM ANALYZE pours", timeout=FILL_TIMEOUT_S)
    limit = VolumeLimit(limit_ml=MAX_LIMIT, window_minutes=WINDOW_MINUTES)
    both = [(turns.without_ms, None), (turns.limited_ms, limit)]
    for _ in range(TURNS):
        for measured, set_limit in both:
            await change_venue(stage.db, OPERATOR, stage.venue.venue_id, serving_limit=set_limit)
            if set_limit is not None:
                await rearm(stage.db, OPERATOR, guest.visit_id, "looked at")
            loop = await closed_loop(stage, 1, seconds / TURNS, TURN_RATE)
            measured.append(loop.authorise.p50_ms)
        both.reverse()  # so that what a turn leaves behind meets both
    await change_venue(stage.db, OPERATOR, stage.venue.venue_id, serving_limit=None)
    return turns


_HISTORY: Final = """
    INSERT INTO pours (pour_id, visit_id, guest_id, card_uid, venue_id, tap_path, keg_id, beverage_id, sync_status, request_id,
        sell_price_per_liter_minor, max_volume_ml, hold_minor, authorized_at, settled_at)
    SELECT gen_random_uuid(), visit_id, guest_id, visits.card_uid, visits.venue_id, taps.tap_path, keg_id, beverage_id, 'voided',
        gen_random_uuid(), 500, 400, 0, now() - interval '2 days' - n * interval '1 minute', now() - interval '2 days'
    FROM generate_series(1, $1) n, visits JOIN taps USING (venue_id) JOIN kegs USING (keg_id)
    WHERE guest_id = $2 AND visits.venue_id = $3 AND taps.tap_id = 'left'"""
"""Pours that ended long ago, and moved neither money nor stock."""


async def recovery_s(stage: Stage) -> dict[str, float]:
    """From the restart of each program, killed before, to the first pour that is settled."""

    async def core() -> None:
        stage.end_cores(at_once=True)
        await stage.start_cores(1)

    async def broker() -> None:
        await stage.broker.stop()
        await stage.broker.start()

    async def postgres() -> None:
        os.kill(stage.postgres.pid, signal.SIGKILL)
        await stage.postgres.start()

    restarts: dict[str, Callable[[], Awaitable[None]]] = {"core": core, "mosquitto": broker, "postgres": postgres}
    took = {}
    for name, restart in restarts.items():
        began_s = time.monotonic()
        await restart()
        await _pour_once(stage)
        took[name] = round(time.monotonic() - began_s, 2)
    return took


async def _pour_once(stage: Stage) -> None:
    place, poured = stage.places[0], False
    while not poured:
        try:
            async with connect_tap(stage.broker, str(place.tap.path)) as tap:
                await tap.core()
                poured = await _cycle(tap, place)
        except (MqttError, TimeoutError):
            await asyncio.sleep(0.05)


async def _cycle(tap: MqttTap, place: Place) -> bool:
    """A question until it is granted, a report until it is settled."""
    question = place.tap.question(place.guest.card_uid)
    grant = await _answered(tap, "card", question, "pour_authorized")
    report = place.tap.report(msgspec.convert(grant["pour_id"], type=type(question.event_id)), place.guest.card_uid, POUR_ML)
    await _answered(tap, "pour/completed", report, "pour_settled")
    return True


async def _answered(tap: MqttTap, leaf: str, message: msgspec.Struct, kind: str) -> dict[str, object]:
    while True:
        await tap.send(leaf, message)  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(ASK_AGAIN_S):
                return await tap.command(kind)
        except TimeoutError:
            continue


async def node(stage: Stage) -> NodeFigures:
    """A real tap node: how soon it asks, how soon its valve opens, and how far it pours over its cap."""
    asked_ms, opened_ms, over_ml = list[float](), list[float](), list[int]()
    with tempfile.TemporaryDirectory(prefix="tapwire-node-") as folder:
        given = await tap_settings(stage.broker, Path(folder))
        given["hardware"]["flow_ml_per_s"] = NODE_FLOW_ML_PER_S
        settings = msgspec.convert(given, Settings)
        async with core_at(stage.broker) as core, running_node(settings) as running:
            rig = Rig(running, core, stage.broker, Path(folder))
            for _ in range(NODE_POURS):
                await rig.phase("IDLE")
                core.forget()  # a question that a slow disk had repeated would count as the next card's
                before_ml, began_s = rig.tap.flowed_ml, time.monotonic()
                rig.tap.reader.present(CARD)
                question = await core.hear("card_presented")
                asked_ms.append((time.monotonic() - began_s) * 1_000)
                began_s = time.monotonic()
                await core.grant(question, max_volume_ml=NODE_CAP_ML)
                async with asyncio.timeout(WAIT_S):
                    while not rig.tap.valve_is_driven:
                        await asyncio.sleep(LOOK_S)
                opened_ms.append((time.monotonic() - began_s) * 1_000)
                await core.hear("pour_completed")
                over_ml.append(rig.tap.flowed_ml - before_ml - NODE_CAP_ML)
                rig.tap.reader.remove()
    return NodeFigures(Spread.of(asked_ms), Spread.of(opened_ms), over_ml)
