"""The installation: what all programs on this database must agree on."""

from sqlalchemy import Boolean, CheckConstraint, text
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import number, string


class Installation(SQLModel, table=True):
    """The only row: the currency of all money in this database, and the digits of its minor unit."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("singleton", name="one_row"),)

    singleton: bool = Field(default=True, primary_key=True, sa_type=Boolean, sa_column_kwargs={"server_default": text("true")})
    currency: str = string()
    currency_digits: int = number()
