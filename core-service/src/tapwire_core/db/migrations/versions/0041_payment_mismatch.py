"""The incident of a payment that was paid otherwise than it was begun."""

import re

import sqlalchemy
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

NAME = "ck_incidents_kind_known"


def upgrade() -> None:
    """Go to this revision; the members of earlier revisions stay."""
    asked = sqlalchemy.text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name")
    known = re.findall(r"'(\w+)'", op.get_bind().execute(asked, {"name": NAME}).scalar_one())
    listed = ", ".join(f"'{member}'" for member in (*known, "payment_mismatch"))
    op.execute(f"ALTER TABLE incidents DROP CONSTRAINT {NAME}")
    op.execute(f"ALTER TABLE incidents ADD CONSTRAINT {NAME} CHECK (kind IN ({listed})) NOT VALID")
