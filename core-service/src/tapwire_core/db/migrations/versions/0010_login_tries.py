"""Tries to log in are counted by the name as it is typed, whether somebody has it or not.

`users.failed_logins` and `users.locked_until` stay for the version before, which may run beside this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "login_tries",
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("username", name=op.f("pk_login_tries")),
    )


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_table("login_tries")
