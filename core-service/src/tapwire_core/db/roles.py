"""The database's two roles: the owner, for migrations, and the application's, which can only read and insert rows of the books.

The application's privileges are granted again after each migration. The triggers `rows_stay_as_they_are` protect the books from
every role; but an owner can drop them, and the application's role can't.
"""

from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL, make_url

from tapwire_core.db.connections import hosts_of
from tapwire_core.db.tables import AuditEntry, Calibration, MoneyMovement, ShiftCount, StockMovement, TapCleaning

ONLY_ADDED_TO: Final = tuple(
    str(rows.__tablename__) for rows in (AuditEntry, Calibration, MoneyMovement, ShiftCount, StockMovement, TapCleaning)
)
"""The tables whose rows are never changed."""


def grant_application(connection: Connection, application_url: str) -> None:
    """Grant this URL's role its privileges, and create the role if needed; the connection is the tables' owner."""
    application = make_url(hosts_of(application_url)[0])
    if application.username == connection.execute(text("SELECT current_user")).scalar():
        return
    if not connection.execute(text("SELECT true FROM pg_roles WHERE rolname = :name"), {"name": application.username}).scalar():
        _create_role(connection, application)
    role = connection.dialect.identifier_preparer.quote_identifier(application.username or "")
    books = ", ".join(f"public.{name}" for name in ONLY_ADDED_TO)  # a venue's view of the same name is no part of the books
    for statement in (
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        f"REVOKE UPDATE, DELETE, TRUNCATE ON {books} FROM {role}",
        f"REVOKE INSERT, UPDATE, DELETE ON public.alembic_version FROM {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        f"GRANT USAGE ON SCHEMA of_venues TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA of_venues TO {role}",
    ):
        connection.execute(text(statement))


def _create_role(connection: Connection, application: URL) -> None:
    statement = text("SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', CAST(:name AS text), CAST(:password AS text))")
    given = {"name": application.username, "password": application.password or ""}
    connection.exec_driver_sql(connection.execute(statement, given).scalar_one())
