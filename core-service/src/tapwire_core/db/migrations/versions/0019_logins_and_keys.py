"""Login names differ by more than case, and keys of bookings are kept for good.

Of several logins that differ only by case the oldest stays; the others are disabled and get a number.
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.execute("""
        CREATE TEMPORARY TABLE doubles ON COMMIT DROP AS
        SELECT username, position FROM (
            SELECT username, row_number() OVER (PARTITION BY lower(username) ORDER BY disabled, created_at, username) AS position
            FROM users) AS numbered WHERE position > 1
    """)
    op.execute("DELETE FROM sessions WHERE username IN (SELECT username FROM doubles)")
    op.execute("""
        UPDATE users SET username = left(users.username, 50) || '.' || substr(md5(users.username), 1, 8), disabled = true
        FROM doubles WHERE doubles.username = users.username
    """)
    op.execute("DELETE FROM login_tries WHERE username <> lower(username)")
    op.execute("CREATE UNIQUE INDEX uq_users_name ON users (lower(username))")
    op.execute("ALTER TABLE idempotent_answers ADD COLUMN kept_for_good boolean NOT NULL DEFAULT false")
    op.execute("UPDATE idempotent_answers SET kept_for_good = true WHERE scope ~ '/(top-ups?|refunds?|adjust(ments)?)$'")
