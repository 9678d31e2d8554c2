"""Kegs that run low or are past their best-before date, each told once."""

import re

import sqlalchemy
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

KINDS = ("keg_low", "keg_expired")


def upgrade() -> None:
    """Go to this revision."""
    op.execute("ALTER TABLE kegs ADD COLUMN best_before date")
    op.execute("""
        ALTER TABLE venues ADD COLUMN keg_low_minutes bigint NOT NULL DEFAULT 60
            CONSTRAINT ck_venues_keg_low_minutes_sane CHECK (keg_low_minutes BETWEEN 0 AND 1440)
    """)
    _add_kinds()
    op.execute("CREATE UNIQUE INDEX uq_incidents_once ON incidents (kind, cause) WHERE kind IN ('keg_low', 'keg_expired')")


def _add_kinds() -> None:
    """Widen the closed set of incidents; kinds of earlier revisions stay."""
    name = "ck_incidents_kind_known"
    asked = sqlalchemy.text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name")
    known = re.findall(r"'(\w+)'", op.get_bind().execute(asked, {"name": name}).scalar_one())
    listed = ", ".join(f"'{kind}'" for kind in dict.fromkeys((*known, *KINDS)))
    op.execute(f"ALTER TABLE incidents DROP CONSTRAINT {name}")
    op.execute(f"ALTER TABLE incidents ADD CONSTRAINT {name} CHECK (kind IN ({listed}))")
