"""Deliveries of kegs, the time they are on a tap, their finish, and the stock that a finish books."""

import re

import sqlalchemy
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

KINDS = ("yield_loss", "spoiled", "returned")


def upgrade() -> None:
    """Go to this revision. The audit log says when a keg was on a tap; where it says nothing, its first pour does."""
    op.execute("""
        ALTER TABLE kegs
            ADD COLUMN supplier text,
            ADD COLUMN batch text,
            ADD COLUMN cost_minor bigint,
            ADD COLUMN keg_deposit_minor bigint,
            ADD COLUMN tapped_at timestamptz,
            ADD COLUMN on_tap_since timestamptz,
            ADD COLUMN on_tap_before_s bigint NOT NULL DEFAULT 0,
            ADD COLUMN finish text,
            ADD COLUMN finish_reason text,
            ADD COLUMN finished_at timestamptz,
            ADD CONSTRAINT ck_kegs_cost_not_negative CHECK (cost_minor >= 0),
            ADD CONSTRAINT ck_kegs_keg_deposit_not_negative CHECK (keg_deposit_minor >= 0),
            ADD CONSTRAINT ck_kegs_finish_known CHECK (finish IN ('kicked', 'swapped', 'spoiled', 'returned')),
            ADD CONSTRAINT ck_kegs_finished_is_retired CHECK (finished_at IS NULL OR status = 'retired'),
            ADD CONSTRAINT ck_kegs_finish_has_time
                CHECK ((finished_at IS NOT NULL) = coalesce(finish IN ('kicked', 'spoiled', 'returned'), false))
    """)
    op.execute("""
        ALTER TABLE venues ADD COLUMN keg_low_percent bigint NOT NULL DEFAULT 15
            CONSTRAINT ck_venues_keg_low_percent_sane CHECK (keg_low_percent BETWEEN 0 AND 100)
    """)
    _add_kinds()
    op.execute("""
        UPDATE kegs SET
            tapped_at = stays.first_at,
            on_tap_since = CASE WHEN EXISTS (SELECT FROM taps WHERE taps.keg_id = kegs.keg_id) THEN stays.last_at END,
            on_tap_before_s = coalesce(stays.before_s, 0)
        FROM (
            SELECT keg_id, min(at) FILTER (WHERE is_on) AS first_at, max(at) FILTER (WHERE is_on) AS last_at,
                floor(sum(extract(epoch FROM next_at - at)) FILTER (WHERE is_on))::bigint AS before_s
            FROM (
                SELECT keg_id, audit.created_at AS at, action = 'keg_put_on' AS is_on,
                    lead(audit.created_at) OVER (PARTITION BY keg_id ORDER BY audit_id) AS next_at
                FROM kegs JOIN audit ON audit.subjects @> ARRAY[keg_id::text] AND action IN ('keg_put_on', 'keg_taken_off')
            ) AS moves
            GROUP BY keg_id
        ) AS stays
        WHERE kegs.keg_id = stays.keg_id
    """)
    op.execute("""
        UPDATE kegs SET
            tapped_at = coalesce(first_pour.at, now()),
            on_tap_since = CASE WHEN taps.tap_path IS NOT NULL THEN coalesce(first_pour.at, now()) END
        FROM kegs AS its
        LEFT JOIN taps ON taps.keg_id = its.keg_id
        LEFT JOIN (SELECT keg_id, min(authorized_at) AS at FROM pours GROUP BY keg_id) AS first_pour
            ON first_pour.keg_id = its.keg_id
        WHERE kegs.keg_id = its.keg_id AND kegs.tapped_at IS NULL
        AND (taps.tap_path IS NOT NULL OR first_pour.at IS NOT NULL)
    """)


def _add_kinds() -> None:
    """Widen the closed set by what a finish books; kinds of earlier revisions stay."""
    name = "ck_stock_movements_kind_known"
    asked = sqlalchemy.text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name")
    known = re.findall(r"'(\w+)'", op.get_bind().execute(asked, {"name": name}).scalar_one())
    listed = ", ".join(f"'{kind}'" for kind in dict.fromkeys((*known, *KINDS)))
    op.execute(f"ALTER TABLE stock_movements DROP CONSTRAINT {name}")
    op.execute(f"ALTER TABLE stock_movements ADD CONSTRAINT {name} CHECK (kind IN ({listed}))")
