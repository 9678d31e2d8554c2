"""Alembic's environment: runs on the connection that `tapwire_core.db.schema` hands over."""

from alembic import context
from sqlmodel import SQLModel

import tapwire_core.db.tables  # noqa: F401  the import fills SQLModel.metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata)
with context.begin_transaction():
    context.run_migrations()
