"""The rules of the books check, one statement each; a statement returns the rows that break its rule."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from tapwire_core.db.store import Store


class Difference(Struct, frozen=True):
    """A place where the books do not balance: the rule, the subject, the expected and the found value."""

    rule: str
    subject: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject} should be {self.expected}, is {self.found}"


RULES: Final[Mapping[str, str]] = {
    "balance = sum of movements": """
        SELECT guest_id::text, coalesce(moved.sum, 0)::text, balance_minor::text
        FROM guests LEFT JOIN (
            SELECT guest_id,
                sum(CASE 'guest' WHEN credit_account THEN amount_minor WHEN debit_account THEN -amount_minor ELSE 0 END) AS sum
            FROM money_movements WHERE guest_id IS NOT NULL GROUP BY guest_id) AS moved USING (guest_id)
        WHERE balance_minor <> coalesce(moved.sum, 0)""",
    "house credit = sum of movements": """
        SELECT guest_id::text, coalesce(moved.sum, 0)::text, house_credit_minor::text
        FROM guests LEFT JOIN (
            SELECT guest_id, sum(house_credit_minor) AS sum FROM money_movements WHERE guest_id IS NOT NULL GROUP BY guest_id)
            AS moved USING (guest_id)
        WHERE house_credit_minor <> coalesce(moved.sum, 0)""",
    "a comp gives house credit, sales and adjustments of a pour move it": """
        SELECT movement_id::text,
            CASE WHEN debit_account = 'comp' THEN amount_minor ELSE 0 END::text, house_credit_minor::text
        FROM money_movements WHERE CASE
            WHEN debit_account = 'comp' THEN house_credit_minor <> amount_minor
            WHEN house_credit_minor < 0 THEN (debit_account, credit_account) NOT IN (
                ('guest', 'sales'), ('guest', 'adjustment'), ('deposit', 'deposit_forfeited'))
            WHEN house_credit_minor > 0 THEN debit_account <> 'adjustment' OR pour_id IS NULL
            ELSE false END""",
    "held = sum of pending holds": """
        SELECT guest_id::text, coalesce(holds.sum, 0)::text, held_minor::text
        FROM guests LEFT JOIN (
            SELECT guest_id, sum(hold_minor) AS sum FROM pours WHERE sync_status = 'pending_sync' GROUP BY guest_id) AS holds
            USING (guest_id)
        WHERE held_minor <> coalesce(holds.sum, 0)""",
    "deposit account = deposits of cards": """
        SELECT concat_ws(' ', guest_id, venue_id), coalesce(kept.sum, 0)::text, coalesce(booked.sum, 0)::text
        FROM (
            SELECT guest_id, deposit_venue_id AS venue_id, sum(deposit_minor) AS sum FROM cards
            WHERE deposit_minor > 0 GROUP BY guest_id, deposit_venue_id) AS kept
        FULL JOIN (
            SELECT guest_id, venue_id,
                sum(CASE WHEN credit_account = 'deposit' THEN amount_minor ELSE -amount_minor END) AS sum
            FROM money_movements WHERE 'deposit' IN (debit_account, credit_account) GROUP BY guest_id, venue_id) AS booked
            USING (guest_id, venue_id)
        WHERE coalesce(kept.sum, 0) <> coalesce(booked.sum, 0)""",
    "keg volume = start less stock movements": """
        SELECT keg_id::text, (initial_volume_ml - coalesce(moved.sum, 0))::text, book_volume_ml::text
        FROM kegs LEFT JOIN (SELECT keg_id, sum(volume_ml) AS sum FROM stock_movements GROUP BY keg_id) AS moved USING (keg_id)
        WHERE book_volume_ml <> initial_volume_ml - coalesce(moved.sum, 0)""",
    "a finished keg without a pending pour is empty": """
        SELECT keg_id::text, '0', book_volume_ml::text FROM kegs
        WHERE finished_at IS NOT NULL AND book_volume_ml <> 0 AND NOT EXISTS (
            SELECT FROM pours WHERE pours.keg_id = kegs.keg_id AND sync_status = 'pending_sync')""",
    "only a finished keg has what its finish books": """
        SELECT movement_id::text, coalesce(CASE finish WHEN 'kicked' THEN 'yield_loss' ELSE finish END, 'nothing'), kind
        FROM stock_movements JOIN kegs USING (keg_id)
        WHERE kind IN ('yield_loss', 'spoiled', 'returned')
        AND (finished_at IS NULL OR kind <> CASE finish WHEN 'kicked' THEN 'yield_loss' ELSE finish END)""",
    "charge = movements of the pour": """
        SELECT pour_id::text, (amount_minor + loss_minor)::text, coalesce(moved.sum, 0)::text
        FROM pours LEFT JOIN (
            SELECT pour_id, sum(amount_minor) AS sum FROM money_movements
            WHERE pour_id IS NOT NULL AND incident_id IS NULL AND credit_account = 'sales' GROUP BY pour_id) AS moved
            USING (pour_id)
        WHERE amount_minor + loss_minor <> coalesce(moved.sum, 0)""",
    "stock of the pour = stock movements": """
        SELECT pour_id::text, stock_ml::text, coalesce(moved.sum, 0)::text
        FROM pours LEFT JOIN (
            SELECT cause_id, sum(volume_ml) AS sum FROM stock_movements WHERE kind <> 'unattributed' GROUP BY cause_id) AS moved
            ON moved.cause_id = pour_id
        WHERE stock_ml <> coalesce(moved.sum, 0)""",
    "a charged pour costs its volume at its price": """
        SELECT pour_id::text, floor((volume_ml * sell_price_per_liter_minor + 500) / 1000)::text, (amount_minor + loss_minor)::text
        FROM pours WHERE sync_status IN ('synced', 'reconciled')
        AND amount_minor + loss_minor <> (volume_ml * sell_price_per_liter_minor + 500) / 1000""",
    "a pending, rejected or voided pour costs nothing": """
        SELECT pour_id::text, '0', amount_minor::text FROM pours
        WHERE sync_status IN ('pending_sync', 'rejected', 'voided') AND (amount_minor <> 0 OR loss_minor <> 0)""",
    "a locked visit has a pending pour on that tap": """
        SELECT visit_id::text, 'unlocked', coalesce(active_tap_id, 'locked') FROM visits
        WHERE (active_tap_id IS NOT NULL OR lock_set_at IS NOT NULL) AND NOT EXISTS (
            SELECT 1 FROM pours WHERE pours.visit_id = visits.visit_id AND sync_status = 'pending_sync'
            AND split_part(tap_path, '/', 3) = active_tap_id)""",
    "a pending pour locks its visit": """
        SELECT pour_id::text, 'locked', 'unlocked' FROM pours JOIN visits USING (visit_id)
        WHERE sync_status = 'pending_sync' AND lock_set_at IS NULL""",
    "a pending pour's visit is active": """
        SELECT pour_id::text, 'active', visits.status FROM pours JOIN visits USING (visit_id)
        WHERE sync_status = 'pending_sync' AND visits.status <> 'active'""",
    "a grant has one pour": """
        SELECT coalesce(pour.pour_id, answer.pour_id)::text, '1', count(pour.pour_id)::text
        FROM authorization_answers answer
        FULL JOIN pours pour ON pour.request_id = answer.event_id AND pour.tap_path = answer.tap_path
        WHERE pour.pour_id IS NOT NULL OR answer.pour_id IS NOT NULL
        GROUP BY coalesce(pour.pour_id, answer.pour_id)
        HAVING count(pour.pour_id) <> 1 OR count(answer.event_id) > 1
            OR (count(answer.event_id) = 0 AND bool_or(pour.sync_status = 'pending_sync'))""",  # retention deletes others
    "the drawer of a closed shift is empty": """
        SELECT shift_id::text, '0', moved.sum::text
        FROM shifts JOIN (
            SELECT shift_id, sum(CASE WHEN debit_account = 'cash' THEN amount_minor ELSE -amount_minor END) AS sum
            FROM money_movements WHERE 'cash' IN (debit_account, credit_account) GROUP BY shift_id) AS moved USING (shift_id)
        WHERE count_cash AND status = 'closed' AND moved.sum <> 0""",
    "the last count of a closed shift went to the safe": """
        SELECT shifts.shift_id::text, coalesce(counted.minor::text, 'counted'), coalesce(moved.sum, 0)::text
        FROM shifts LEFT JOIN LATERAL (
            SELECT counted_minor AS minor FROM shift_counts WHERE shift_counts.shift_id = shifts.shift_id
            ORDER BY count_id DESC LIMIT 1) AS counted ON true
        LEFT JOIN (
            SELECT shift_id, sum(CASE WHEN debit_account = 'safe' THEN amount_minor ELSE -amount_minor END) AS sum
            FROM money_movements WHERE count_id IS NOT NULL AND 'safe' IN (debit_account, credit_account) GROUP BY shift_id
        ) AS moved ON moved.shift_id = shifts.shift_id
        WHERE count_cash AND status = 'closed' AND counted.minor IS DISTINCT FROM coalesce(moved.sum, 0)""",
    "over or short = the last count less what was expected": """
        SELECT counted.shift_id::text, over_short_minor::text, coalesce(moved.sum, 0)::text
        FROM (SELECT DISTINCT ON (shift_id) * FROM shift_counts ORDER BY shift_id, count_id DESC) AS counted
        LEFT JOIN (
            SELECT shift_id, sum(CASE WHEN credit_account = 'over_short' THEN amount_minor ELSE -amount_minor END) AS sum
            FROM money_movements WHERE 'over_short' IN (debit_account, credit_account) GROUP BY shift_id) AS moved USING (shift_id)
        WHERE over_short_minor <> coalesce(moved.sum, 0)""",
    "only shifts that count their cash have a drawer's movements": """
        SELECT movement_id::text, 'a shift that counts its cash', coalesce(shift_id::text, 'no shift')
        FROM money_movements LEFT JOIN shifts USING (shift_id)
        WHERE (debit_account IN ('safe', 'pay_in', 'pay_out', 'over_short')
               OR credit_account IN ('safe', 'pay_in', 'pay_out', 'over_short'))
        AND count_cash IS NOT TRUE""",
    "a payment's booking = its movement": """
        SELECT payments.payment_id::text, booked_minor::text, coalesce(moved.sum, 0)::text
        FROM payments LEFT JOIN (
            SELECT payment_id, sum(CASE WHEN (debit_account, credit_account) = ('online_payment', 'guest')
                THEN amount_minor ELSE -amount_minor END) AS sum
            FROM money_movements WHERE payment_id IS NOT NULL AND payment_return_id IS NULL GROUP BY payment_id) AS moved
            USING (payment_id)
        WHERE booked_minor <> coalesce(moved.sum, 0)""",
    "a paid payment is booked, and refunded where it may not be": """
        SELECT payments.payment_id::text, CASE WHEN paid_at IS NULL THEN 0 ELSE amount_minor END::text,
            (booked_minor + coalesce(refunds.sum, 0))::text
        FROM payments LEFT JOIN (
            SELECT payment_id, sum(amount_minor) AS sum FROM payment_returns
            WHERE cause IN ('over_limit', 'guest_blocked', 'guest_erased') GROUP BY payment_id) AS refunds USING (payment_id)
        WHERE booked_minor + coalesce(refunds.sum, 0) <> CASE WHEN paid_at IS NULL THEN 0 ELSE amount_minor END""",
    "what went back of a payment = its movements": """
        SELECT return_id::text, due.sum::text, coalesce(moved.sum, 0)::text
        FROM payment_returns CROSS JOIN LATERAL (
            SELECT CASE WHEN cause IN ('dispute', 'refund') AND status = 'done' OR cause = 'check_out' AND status <> 'failed'
                THEN amount_minor
                WHEN cause IN ('over_limit', 'guest_blocked', 'guest_erased') AND status = 'failed' THEN -amount_minor
                ELSE 0 END AS sum) AS due
        LEFT JOIN (
            SELECT payment_return_id, sum(CASE 'online_payment' WHEN credit_account THEN amount_minor
                WHEN debit_account THEN -amount_minor ELSE 0 END) AS sum
            FROM money_movements WHERE payment_return_id IS NOT NULL GROUP BY payment_return_id) AS moved
            ON moved.payment_return_id = return_id
        WHERE due.sum <> coalesce(moved.sum, 0)""",
    "a reversal that was won back lost nothing": """
        SELECT return_id::text, '0', sum(CASE 'payment_loss' WHEN debit_account THEN moved.amount_minor
            WHEN credit_account THEN -moved.amount_minor ELSE 0 END)::text
        FROM payment_returns JOIN money_movements AS moved ON payment_return_id = return_id
        WHERE status = 'won' GROUP BY return_id
        HAVING sum(CASE 'payment_loss' WHEN debit_account THEN moved.amount_minor
            WHEN credit_account THEN -moved.amount_minor ELSE 0 END) <> 0""",
    "only payments move a provider's money": """
        SELECT movement_id::text, 'a payment', 'none' FROM money_movements
        WHERE payment_id IS NULL AND (
            debit_account IN ('online_payment', 'payment_loss') OR credit_account IN ('online_payment', 'payment_loss'))""",
    "a payment's state follows from what went back of it": """
        SELECT payments.payment_id::text, due.status, payments.status
        FROM payments CROSS JOIN LATERAL (
            SELECT CASE
                WHEN bool_or(its.cause IN ('dispute', 'refund')) THEN 'reversed'
                WHEN coalesce(sum(its.amount_minor), 0) >= payments.amount_minor THEN 'refunded' ELSE 'paid' END AS status
            FROM payment_returns AS its WHERE its.payment_id = payments.payment_id AND its.status = 'done') AS due
        WHERE paid_at IS NOT NULL AND due.status <> payments.status""",
    "a Z report has its drawer's last count": """
        SELECT shifts.shift_id::text, counted.minor::text, coalesce(z_report->'cash'->>'counted_minor', 'none')
        FROM shifts CROSS JOIN LATERAL (
            SELECT counted_minor AS minor FROM shift_counts WHERE shift_counts.shift_id = shifts.shift_id
            ORDER BY count_id DESC LIMIT 1) AS counted
        WHERE z_report IS NOT NULL AND (z_report->'cash'->>'counted_minor')::bigint IS DISTINCT FROM counted.minor""",
}
MAX_DIFFERENCES_PER_RULE: Final = 1_000
"""Differences reported of each rule: a widespread mistake must not fill the memory."""
RULE_TIMEOUT_S: Final = 600.0
"""Timeout of one rule's query."""


async def differences(store: Store) -> list[Difference]:
    """Run every rule, and return the first differences of each; the store's transaction is one snapshot."""
    found: list[Difference] = []
    for rule, statement in RULES.items():
        # materialized: a plan for the first rows alone takes for ever where there are none
        first = f"WITH rule AS MATERIALIZED ({statement}) SELECT * FROM rule LIMIT $1"  # noqa: S608 - ours
        found += [
            Difference(rule, *row) for row in await store.connection.fetch(first, MAX_DIFFERENCES_PER_RULE, timeout=RULE_TIMEOUT_S)
        ]
    return found


class Backlog(Struct, frozen=True):
    """Counts of pours, incidents and commands that wait for a report, a person or the broker."""

    pending_pours: int
    oldest_pending_ms: int
    held_minor: int
    unresolved_incidents: int
    outbox_commands: int


async def count_backlog(store: Store) -> Backlog:
    """Count waiting pours, incidents and commands."""
    row = await store.connection.fetchrow(
        """SELECT count(*), coalesce(extract(epoch FROM now() - min(authorized_at)) * 1000, 0)::bigint,
               coalesce(sum(hold_minor), 0)::bigint,
               (SELECT count(*) FROM incidents WHERE status <> 'resolved'), (SELECT count(*) FROM command_outbox)
           FROM pours WHERE sync_status = 'pending_sync'"""
    )
    return Backlog(*row)
