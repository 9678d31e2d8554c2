"""The schema's history (Alembic), and the way to its newest revision."""
