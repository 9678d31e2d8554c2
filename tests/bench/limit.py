"""The limit: pgbench running the very SQL of grant and settlement, with the very arguments, and nothing else.

One real cycle of each tap is made first, and what it sends is written down; pgbench then repeats it with new ids and odometer
values. What it reaches, no program on top of this database can surpass that decides one by one.
"""

import asyncio
import re
from pathlib import Path
from typing import Final

import msgspec

from tapwire_core.db.decisions import lock_together, write_changes
from tapwire_core.db.store import Store
from tapwire_core.services.pour_batches import LOCK_TIMEOUT_MS
from tapwire_core.services.pours import DecisionRequest
from tapwire_demo.postgres import DATABASE
from tests.bench.least import pgbench
from tests.bench.load import POUR_ML
from tests.bench.stage import Place, Stage

FROM_ML: Final = 7_770_000_000_000
"""An odometer value that is nothing else in the texts."""
HIGHEST: Final = 1_000_000_000
_VARIABLE: Final = re.compile(r":(?=\w)")
"""Colons that pgbench would take for variables; between keys and values there is a space."""


async def pgbench_cycles_per_s(stage: Stage, places: list[Place], seconds: int, folder: Path) -> float:
    """Cycles a second of one client for each place, with a tap and a guest of its own; raises `ValueError` when pgbench fails."""
    scripts = []
    for number, place in enumerate(places):
        scripts.append(folder / f"cycle{number}.sql")
        scripts[-1].write_text(await _script(stage, place), encoding="utf-8")
    return sum(await asyncio.gather(*(pgbench(stage.postgres, script, DATABASE, seconds) for script in scripts)))


async def _script(stage: Stage, place: Place) -> str:
    """A cycle for pgbench: two transactions of two statements each."""
    place.tap.odometer_ml = FROM_ML
    question = place.tap.question(place.guest.card_uid)
    asks = stage.venue.asks(question, place.tap)
    reports = stage.venue.reports(place.tap.report(asks.new_pour_id, place.guest.card_uid, POUR_ML), place.tap)
    hexadecimal = "lpad(to_hex(:n::bigint), 12, '0')"
    new = {
        str(question.event_id): f"' || '{str(question.event_id)[:24]}' || {hexadecimal} || '",
        str(asks.new_pour_id): f"' || '{str(asks.new_pour_id)[:24]}' || {hexadecimal} || '",
        str(FROM_ML): f"' || :n::bigint * {POUR_ML} || '",
        str(FROM_ML + POUR_ML): f"' || (:n::bigint + 1) * {POUR_ML} || '",
    }
    lines = [rf"\set n random(1, {HIGHEST})"]
    for decision in (asks, reports):
        async with stage.db.transaction() as store:
            lines += ["BEGIN;", *[f"{_varied(sent, new)};" for sent in await _statements(store, decision)], "COMMIT;"]
    return "\n".join(lines)


async def _statements(store: Store, decision: DecisionRequest) -> list[str]:
    """Make a decision; what it sends."""
    (locked,) = await lock_together(store, [decision.key])
    concluded = decision.conclude(locked, store.policy)
    assert concluded.changes is not None
    await write_changes(store, concluded.changes)
    return [
        f"SELECT lock_together(({_literal([decision.key])})::jsonb, {LOCK_TIMEOUT_MS})",
        f"SELECT apply_together(({_literal([concluded.changes])})::jsonb)",
    ]


def _literal(content: object) -> str:
    """A value as an SQL text of JSON in which pgbench sees no variable of its own: those begin with a colon."""
    text = msgspec.json.format(msgspec.json.encode(content), indent=0).decode()
    return "'" + _VARIABLE.sub(r"\\u003a", text).replace("'", "''") + "'"


def _varied(statement: str, new: dict[str, str]) -> str:
    for old, expression in new.items():
        statement = statement.replace(old, expression)
    return statement
