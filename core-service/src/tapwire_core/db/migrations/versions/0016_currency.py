"""The database keeps its currency; the first program that opens it writes it."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.execute("""
        CREATE TABLE installation (
            singleton boolean NOT NULL DEFAULT true CONSTRAINT pk_installation PRIMARY KEY,
            currency text NOT NULL,
            currency_digits bigint NOT NULL,
            CONSTRAINT ck_installation_one_row CHECK (singleton)
        )
    """)
