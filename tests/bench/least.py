"""The least SQL that keeps such a ledger, by pgbench alone, and how near Tapwire over MQTT comes to it, by turns.

A cycle is two transactions: lease, hold, answer and audit entry; capture, movement, stock, verdict and audit entry. It decides
nothing, checks next to nothing, and has a database of its own beside ours. Between both stands `tests.bench.bare_core`: what
broker, client and driver let through where nothing is decided.
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
from tests.bench.meters import ratio_by_turns

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
_GRANT: Final = """
SELECT balance - held FROM guests WHERE id = :guest FOR NO KEY UPDATE;
UPDATE guests SET held = held + 250 WHERE id = :guest;
INSERT INTO pours (id, tap, guest, keg, status, hold) VALUES (:pour, :guest, :guest, :guest, 'pending', 250);
INSERT INTO answers VALUES (:pour, '{"type":"pour_authorized"}');
INSERT INTO audit (action, subject) VALUES ('pour_authorized', :pour);
"""
_SETTLE: Final = """
SELECT hold FROM pours WHERE id = :pour FOR NO KEY UPDATE;
UPDATE pours SET status = 'synced', ml = 250, amount = 125, settled = now() WHERE id = :pour;
UPDATE guests SET held = held - 250, balance = balance - 125 WHERE id = :guest;
INSERT INTO moves (guest, pour, amount) VALUES (:guest, :pour, 125);
INSERT INTO stock (keg, pour, ml) VALUES (:guest, :pour, 250);
UPDATE kegs SET book = book - 250 WHERE id = :guest;
INSERT INTO verdicts VALUES (:pour, '{"type":"pour_settled"}');
INSERT INTO audit (action, subject) VALUES ('pour_settled', :pour);
"""
_TRANSACTIONS: Final = f"BEGIN;{_GRANT}COMMIT;\nBEGIN;{_SETTLE}COMMIT;\n"
CYCLE: Final = f"SELECT gen_random_uuid() AS pour \\gset\n{_TRANSACTIONS.replace(':guest', ':client_id')}"
FUNCTIONS: Final = "".join(
    f"CREATE FUNCTION {name}(int, uuid) RETURNS void LANGUAGE sql AS $body${body}$body$;\n"
    for name, transaction in (("grant_pour", _GRANT), ("settle_pour", _SETTLE))
    for body in [transaction.replace(":guest", "$1").replace(":pour", "$2")]
)
"""The same statements as `tests.bench.bare_core` calls them, each transaction in one round trip."""


Measure = Callable[[float], Awaitable[dict[int, float]]]
"""Cycles a second by the number of taps, each measured for so many seconds."""


class LeastTurns(Struct, frozen=True):
    """Cycles a second in each turn, by the number of taps.

    `least`: of the least SQL, whose clients they are; `bare`: of a core that decides nothing; `ours`: of Tapwire.
    """

    least: dict[int, list[float]]
    bare: dict[int, list[float]]
    ours: dict[int, list[float]]

    def ratio(self, taps: int) -> float:
        """The median of each turn's rate of Tapwire over that of the least SQL."""
        return ratio_by_turns(self.ours[taps], self.least[taps])

    def bare_ratio(self, taps: int) -> float:
        """The same of Tapwire over the core that decides nothing."""
        return ratio_by_turns(self.ours[taps], self.bare[taps])


async def against_least(postgres: EmbeddedPostgres, seconds: float, bare: Measure, ours: Measure) -> LeastTurns:
    """Measure the least SQL, a core that decides nothing, and ours, by turns of so many seconds each."""
    await postgres.create_database(DATABASE)
    connection = await asyncpg.connect(postgres.url_of(DATABASE))
    try:
        await connection.execute(TABLES + FUNCTIONS)
    finally:
        await connection.close()
    turns = LeastTurns(*({taps: list[float]() for taps in COUNTS} for _ in range(3)))
    with tempfile.TemporaryDirectory(prefix="tapwire-least-") as folder:
        (script := Path(folder) / "cycle.sql").write_text(CYCLE, encoding="utf-8")

        async def least(seconds: float) -> dict[int, float]:
            return {taps: await pgbench(postgres, script, DATABASE, seconds, clients=taps) for taps in COUNTS}

        for _ in range(TURNS):
            for measure, so_far in ((least, turns.least), (bare, turns.bare), (ours, turns.ours)):
                for taps, rate in (await measure(seconds)).items():
                    so_far[taps].append(rate)
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
    """How near Tapwire comes to both."""
    rows = {}
    for taps in COUNTS:
        name, rate = f"{taps} tap{'s' if taps > 1 else ''}, by turns", statistics.median(turns.ours[taps])
        rows[f"of the least SQL by pgbench, {name}"] = _row(turns.ratio(taps), rate, turns.least[taps])
        rows[f"of a core that decides nothing, with the least SQL, {name}"] = _row(turns.bare_ratio(taps), rate, turns.bare[taps])
    return rows


def _row(ratio: float, rate: float, others: list[float]) -> str:
    return f"{ratio:.2f} ({rate:.0f} cycles/s against {statistics.median(others):.0f})"
