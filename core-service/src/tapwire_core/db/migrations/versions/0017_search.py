"""Search words of guests, beverages and taps, and cards by the beginning of their number."""

from alembic import op

from tapwire_core.db.search_index import fill_search_index

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.execute("""
        CREATE TABLE search_entries (
            noun varchar NOT NULL,
            id varchar NOT NULL,
            words tsvector NOT NULL,
            CONSTRAINT pk_search_entries PRIMARY KEY (noun, id),
            CONSTRAINT ck_search_entries_noun_known CHECK (noun IN ('guest', 'beverage', 'tap'))
        )
    """)
    op.execute("CREATE INDEX ix_search_entries_words ON search_entries USING gin (words)")
    op.execute("CREATE INDEX ix_cards_uid_beginning ON cards (card_uid varchar_pattern_ops)")
    fill_search_index(op.get_bind())
