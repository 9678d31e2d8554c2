"""The least SQL that keeps such a ledger, by pgbench alone, and how near Tapwire over MQTT comes to it, by turns.

A cycle is two transactions: lease, hold, answer and audit entry; capture, movement, stock, verdict and audit entry. It decides
nothing, checks next to nothing, and has a database of its own beside ours.
"""

import asyncio
import re
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import asyncpg
from msgspec import Struct

from tapwire_demo.postgres import EmbeddedPostgres

DATABASE: Final = "least"
COUNTS: Final = (1, 16, 64)
TURNS: Final = 5
GUESTS: Final = 1_000
_SPEED: Final = re.compile(rb"tps = ([0-9.]+)")
TABLES: Final = f"""
CREATE TABLE guests (id int PRIMARY KEY, balance bigint, held bigint, CHECK (held >= 0 AND balance >= held)) WITH (fillfactor = 50);
CREATE TABLE kegs (id int PRIMARY KEY, book bigint) WITH (fillfactor = 50);
CREATE TABLE pours (
    id uuid PRIMARY KEY, tap int, guest int, keg int, status text, hold bigint, ml bigint, amount bigint,
    at timestamptz DEFAULT now(), settled timestamptz) WITH (fillfactor = 80);
CREATE UNIQUE INDEX ON pours (tap) WHERE status = 'pending';
CREATE UNIQUE INDEX ON pours (guest) WHERE status = 'pending';
CREATE TABLE answers (id uuid PRIMARY KEY, payload text);
CREATE TABLE verdicts (id uuid PRIMARY KEY, payload text);
CREATE TABLE moves (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, guest int, pour uuid, amount bigint, at timestamptz DEFAULT now());
CREATE TABLE stock (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, keg int, pour uuid, ml bigint, at timestamptz DEFAULT now());
CREATE TABLE audit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, action text, subject text, at timestamptz DEFAULT now());
INSERT INTO guests SELECT number, 1000000000000, 0 FROM generate_series(0, {GUESTS - 1}) AS number;
INSERT INTO kegs SELECT number, 1000000000000 FROM generate_series(0, {GUESTS - 1}) AS number;
"""
CYCLE: Final = r"""
SELECT gen_random_uuid() AS pour \gset
BEGIN;
SELECT balance - held FROM guests WHERE id = :client_id FOR NO KEY UPDATE;
UPDATE guests SET held = held + 250 WHERE id = :client_id;
INSERT INTO pours (id, tap, guest, keg, status, hold) VALUES (:pour, :client_id, :client_id, :client_id, 'pending', 250);
INSERT INTO answers VALUES (:pour, '{"type":"pour_authorized"}');
INSERT INTO audit (action, subject) VALUES ('pour_authorized', :pour);
COMMIT;
BEGIN;
SELECT hold FROM pours WHERE id = :pour FOR NO KEY UPDATE;
UPDATE pours SET status = 'synced', ml = 250, amount = 125, settled = now() WHERE id = :pour;
UPDATE guests SET held = held - 250, balance = balance - 125 WHERE id = :client_id;
INSERT INTO moves (guest, pour, amount) VALUES (:client_id, :pour, 125);
INSERT INTO stock (keg, pour, ml) VALUES (:client_id, :pour, 250);
UPDATE kegs SET book = book - 250 WHERE id = :client_id;
INSERT INTO verdicts VALUES (:pour, '{"type":"pour_settled"}');
INSERT INTO audit (action, subject) VALUES ('pour_settled', :pour);
COMMIT;
"""


class LeastTurns(Struct, frozen=True):
    """Cycles a second in each turn, by the number of taps, which are pgbench's clients: of the least SQL, and of Tapwire."""

    least: dict[int, list[float]]
    ours: dict[int, list[float]]

    def ratio(self, taps: int) -> float:
        """The median of each turn's rate of Tapwire over that of the least SQL."""
        return round(statistics.median(ours / least for ours, least in zip(self.ours[taps], self.least[taps], strict=True)), 2)


async def against_least(postgres: EmbeddedPostgres, seconds: float, ours: Callable[[int, float], Awaitable[float]]) -> LeastTurns:
    """Measure both by turns; `ours` is asked for the cycles a second of so many taps, measured for so many seconds."""
    await postgres.create_database(DATABASE)
    connection = await asyncpg.connect(postgres.url_of(DATABASE))
    try:
        await connection.execute(TABLES)
    finally:
        await connection.close()
    turns = LeastTurns({taps: [] for taps in COUNTS}, {taps: [] for taps in COUNTS})
    with tempfile.TemporaryDirectory(prefix="tapwire-least-") as folder:
        (script := Path(folder) / "cycle.sql").write_text(CYCLE, encoding="utf-8")
        for _ in range(TURNS):
            for taps in COUNTS:
                turns.least[taps].append(await pgbench(postgres, script, DATABASE, seconds, clients=taps))
                turns.ours[taps].append(await ours(taps, seconds))
    return turns


async def pgbench(postgres: EmbeddedPostgres, script: Path, database: str, seconds: float, *, clients: int = 1) -> float:
    """Transactions a second of a script; raises `ValueError` when pgbench fails."""
    options = ("-n", f"-c{clients}", "-j1", "-Mprepared", f"-T{max(round(seconds), 1)}", f"-f{script}", postgres.url_of(database))
    piped = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(postgres.program("pgbench"), *options, stdout=piped, stderr=piped)
    said, complaint = await running.communicate()
    found = _SPEED.search(said)
    if running.returncode or found is None:
        raise ValueError(f"pgbench: {complaint.decode()[-500:]}")
    return float(found[1])


def least_rows(turns: LeastTurns) -> dict[str, str]:
    """How near Tapwire comes."""
    return {
        f"of the least SQL by pgbench, {taps} tap{'s' if taps > 1 else ''}, by turns": (
            f"{turns.ratio(taps):.2f} ({statistics.median(turns.ours[taps]):.0f} cycles/s against "
            f"{statistics.median(turns.least[taps]):.0f})"
        )
        for taps in COUNTS
    }
