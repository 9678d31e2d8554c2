"""Alembic's environment: runs on the connection that `tapwire_core.db.schema` hands over."""

from typing import Any, Literal

from alembic import context
from sqlmodel import AutoString, SQLModel

import tapwire_core.db.tables  # noqa: F401  the import fills SQLModel.metadata


def _render(_kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write SQLModel's own text type as SQLAlchemy's, so that a migration needs no SQLModel."""
    return "sa.String()" if isinstance(item, AutoString) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_item=_render,
    compare_type=True,
    on_version_apply=context.config.attributes.get("on_version_apply"),
)
with context.begin_transaction():
    context.run_migrations()
