"""The auditor of the chaos: it knows what flowed, what was paid and what was broken, and compares that with the books at quiet.

It was not told the rules. What flowed comes from the simulator, which outlives every node; what was paid from the operators' own
count; what was broken from the monkey's log.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tapwire_contracts.reasons import IncidentKind, SyncStatus
from tapwire_demo.programs import Program, start_program
from tests.chaos.first_data import FLOODER, PRICE_MINOR, Drinker
from tests.chaos.liar import Liar
from tests.chaos.monkey import Monkey
from tests.chaos.site import Site, Stranger, Tap
from tests.chaos.staff import Staff

CHECK_S: Final = 60.0
CHECKPOINT_ML: Final = 20
CHECKPOINT_S: Final = 0.25
"""Checkpoints of a running pour are at most this far apart; what came after the last one is forgotten by a node that is killed."""
FASTEST_ML_PER_S: Final = 60


@dataclass(frozen=True, slots=True)
class Booked:
    """The books at a quiet time."""

    pours: list[dict[str, Any]]
    guests: dict[Any, dict[str, Any]]
    kegs: dict[Any, dict[str, Any]]
    nodes: dict[str, dict[str, Any]]
    stock_ml: dict[tuple[str, str], int]
    incidents: list[dict[str, Any]]
    outbox: int

    @classmethod
    async def read(cls, site: Site) -> "Booked":
        """Read it by the auditor's own queries, not by the product's views."""

        async def rows(query: str) -> list[dict[str, Any]]:
            return [dict(row) for row in await site.db.pool.fetch(query)]

        stock = await rows("SELECT tap_path, kind, sum(volume_ml)::int AS ml FROM stock_movements GROUP BY 1, 2")
        return cls(
            pours=await rows("SELECT * FROM pours ORDER BY authorized_at"),
            guests={row["guest_id"]: row for row in await rows("SELECT * FROM guests")},
            kegs={row["keg_id"]: row for row in await rows("SELECT * FROM kegs")},
            nodes={row["path"]: json.loads(row["state"]) for row in await rows("SELECT path, state FROM node_status")},
            stock_ml={(row["tap_path"], row["kind"]): row["ml"] for row in stock},
            incidents=await rows("SELECT * FROM incidents WHERE status <> 'resolved' ORDER BY raised_at"),
            outbox=(await rows("SELECT count(*) AS waiting FROM command_outbox"))[0]["waiting"],
        )

    @property
    def at_rest(self) -> bool:
        """True if nothing waits: no pour, no command, no fact of a node."""
        pending = any(pour["sync_status"] == SyncStatus.PENDING_SYNC for pour in self.pours)
        return not (pending or self.outbox or any(node["facts_open"] for path, node in self.nodes.items() if path != str(FLOODER)))

    def booked_ml(self, tap: Tap | Stranger) -> int:
        """The volume that left a tap's keg in the books, but for what operators entered for pours without a report."""
        keg = self.kegs[tap.keg_id]
        booked_ml: int = keg["initial_volume_ml"] - keg["book_volume_ml"] - self.typed_ml(str(tap.path))
        return booked_ml

    def counted_ml(self, tap: Tap) -> int:
        """The volume that a tap's node has counted, by its last stored state, also before its card was set back."""
        odometer_ml: int = self.nodes[str(tap.path)]["odometer_ml"]
        return odometer_ml + tap.rewound_ml

    def is_ahead_of(self, tap: Tap) -> bool:
        """True if more is booked than the node's last stored state counts: a newer state is on its way, or the books are wrong."""
        return self.booked_ml(tap) > self.counted_ml(tap)

    def typed_ml(self, path: str) -> int:
        """Volumes that operators entered for a tap's pours without a report."""
        ended = [pour for pour in self.pours if pour["tap_path"] == path and pour["sync_status"] == SyncStatus.RECONCILED]
        return sum(pour["stock_ml"] for pour in ended if not pour["reported"] or pour["report_refused"])

    def what_waits(self) -> str:
        """The reasons why it is not at rest."""
        pending = [f"{pour['tap_path']} {pour['pour_id']}" for pour in self.pours if pour["sync_status"] == SyncStatus.PENDING_SYNC]
        open_at = [path for path, node in self.nodes.items() if node["facts_open"]]
        return f"pending {pending}, open facts at {open_at}, {self.outbox} commands wait"


@dataclass(frozen=True, slots=True)
class Auditor:
    """Judges a site. `worst_stall_s`: how long this machine kept a program waiting that wanted to run."""

    site: Site
    monkey: Monkey
    staff: Staff
    worst_stall_s: float
    liars: tuple[Liar, ...] = ()

    async def judge(self, books: Booked) -> list[str]:
        """Everything that is wrong, at quiet time."""
        findings = [*self._leftovers(books), *self._incidents(books)]
        for tap in self.site.taps:
            findings += self._volume(tap, books)
            for guest in tap.drinkers:
                findings += self._account(guest, books)
        for liar in self.liars:
            findings += [*self._account(liar.stranger.drinker, books), *self._lies(liar, books)]
        for pour in books.pours:
            findings += self._pour(pour)
        return findings + await self._books_check()

    def _leftovers(self, books: Booked) -> Iterator[str]:
        if not books.at_rest:
            yield f"not at rest: {books.what_waits()}"
        for guest_id, guest in books.guests.items():
            if guest["held_minor"]:
                yield f"guest {guest_id} has {guest['held_minor']} held"

    def _volume(self, tap: Tap, books: Booked) -> Iterator[str]:
        """Each millilitre that went through a meter is booked once; only what no node was there to count is not.

        What an operator typed for a pour that no report came of, as its node never had it, is the operator's: it didn't flow.
        """
        path = str(tap.path)
        booked_ml, counted_ml = books.booked_ml(tap), books.counted_ml(tap)
        if not counted_ml - tap.lost_facts_ml <= booked_ml <= counted_ml:
            yield f"{path}: {booked_ml} ml booked, the node counted {counted_ml} ml, {tap.lost_facts_ml} ml on a card set back"
        forgotten_ml = tap.look().flowed_ml - tap.lost_ml - booked_ml
        most_ml = tap.deaths * (CHECKPOINT_ML + round(FASTEST_ML_PER_S * (CHECKPOINT_S + self.worst_stall_s))) + tap.lost_facts_ml
        if not 0 <= forgotten_ml <= most_ml:
            yield f"{path}: {forgotten_ml} ml flowed and were not booked; {tap.deaths} deaths of its node explain up to {most_ml}"

    def _lies(self, liar: Liar, books: Booked) -> Iterator[str]:
        """Times that mean nothing change no volume."""
        booked_ml = books.booked_ml(liar.stranger)
        if booked_ml != liar.reported_ml:
            yield f"{liar.stranger.path}: {booked_ml} ml booked, its node reported {liar.reported_ml} ml and lied about time alone"

    def _account(self, guest: Drinker, books: Booked) -> Iterator[str]:
        """A guest has what was paid in less what was charged, and was charged for nothing that flowed for somebody else."""
        pours = [pour for pour in books.pours if pour["guest_id"] == guest.guest_id]
        charged_minor = sum(pour["amount_minor"] for pour in pours)
        balance_minor = books.guests[guest.guest_id]["balance_minor"]
        if balance_minor != guest.paid_minor - charged_minor:
            yield f"guest {guest.guest_id} paid {guest.paid_minor}, was charged {charged_minor}, has {balance_minor}"
        reported_ml = sum(pour["volume_ml"] for pour in pours if pour["sync_status"] == SyncStatus.SYNCED)
        if reported_ml > guest.flowed_ml:
            yield f"guest {guest.guest_id} was charged for {reported_ml} ml by reports, {guest.flowed_ml} ml flowed"

    def _pour(self, pour: dict[str, Any]) -> Iterator[str]:
        name, is_sold = f"pour {pour['pour_id']}", pour["sync_status"] in (SyncStatus.SYNCED, SyncStatus.RECONCILED)
        due_minor = (2 * pour["volume_ml"] * PRICE_MINOR + 1_000) // 2_000 if is_sold else 0
        if pour["amount_minor"] + pour["loss_minor"] != due_minor:
            yield f"{name} of {pour['volume_ml']} ml cost {pour['amount_minor']} and {pour['loss_minor']} lost, not {due_minor}"
        by_hand = str(pour["pour_id"]) in self.staff.ended
        if pour["sync_status"] == SyncStatus.VOIDED and pour["stock_ml"] and not by_hand:
            yield f"{name} was voided, and {pour['stock_ml']} ml of it flowed"
        if pour["sync_status"] == SyncStatus.RECONCILED and not by_hand:
            yield f"{name} was reconciled by nobody"
        if pour["sync_status"] == SyncStatus.REJECTED:
            yield f"{name} was rejected"

    def _incidents(self, books: Booked) -> Iterator[str]:
        """Each open incident names something that was done."""
        for incident in books.incidents:
            if not self._explains(incident):
                yield f"incident {incident['kind']} of {incident['cause']} names no fault: {incident['details']}"

    def _explains(self, incident: dict[str, Any]) -> bool:
        paths = [str(tap.path) for tap in self.site.taps if self.monkey.did("set the card back", tap.node.name)]
        is_set_back = any(path in (incident["tap_path"], incident["cause"].split(" ")[0]) for path in paths)
        match IncidentKind(incident["kind"]):
            case IncidentKind.LATE_MISMATCH:
                return str(incident["pour_id"]) in self.staff.ended
            case IncidentKind.DEAD_LETTER | IncidentKind.DEVICE_MISBEHAVING:
                flooded = str(FLOODER) in incident["cause"] and self.monkey.did("fill queues", str(FLOODER))
                return flooded or (is_set_back and "invalid_report" in incident["cause"])
            case IncidentKind.JOURNAL_SET_BACK | IncidentKind.ODOMETER_REWOUND | IncidentKind.INVALID_REPORT:
                return is_set_back
            case _:
                return False

    async def _books_check(self) -> list[str]:
        settings = {"TAPWIRE_DATABASE_URL": self.site.database_url}
        check = start_program(Program("check", ("tapwire_core", "check"), settings), self.site.folder / "check.log")
        try:
            ended = await check.ended(CHECK_S)
        finally:
            await check.stop()
        return [] if ended and check.exit_code == 0 else [f"tapwire-core check: {check.log_tail()}"]


async def at_rest(site: Site, patience_s: float) -> Booked:
    """Wait until nothing waits any more; the books as they are then, or when patience has run out."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while True:
        books = await Booked.read(site)
        arrived = books.at_rest and not any(books.is_ahead_of(tap) for tap in site.taps)
        if arrived or asyncio.get_running_loop().time() > deadline:
            return books
        await asyncio.sleep(0.2)
