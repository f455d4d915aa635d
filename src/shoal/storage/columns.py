"""Column types that tables share, for SQLite and PostgreSQL. Times are epoch milliseconds (``*_ms``)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, Integer, MetaData, Text, false, text, true

from shoal.accounts.shop_settings import SETTINGS

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

RowId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows automatically only in a column declared INTEGER."""


def text_column(name: str, default: str = "") -> Column[str]:
    """A text, empty by default."""
    return Column(name, Text, nullable=False, server_default=default)


def number_column(name: str, default: int = 0) -> Column[int]:
    """A whole number."""
    return Column(name, Integer, nullable=False, server_default=text(str(default)))


def flag_column(name: str, *, default: bool = False) -> Column[bool]:
    """A boolean."""
    return Column(name, Boolean, nullable=False, server_default=true() if default else false())


def setting_column(name: str) -> Column[Any]:
    """The column of a setting of a shop, by its declaration."""
    declared = SETTINGS[name]
    if declared.is_optional:
        return Column(name, Double if declared.value_type is float else Integer, nullable=True)
    if declared.value_type is str:
        return text_column(name, declared.default)
    if declared.value_type is bool:
        return flag_column(name, default=declared.default)
    return number_column(name, declared.default)


def time_column(name: str) -> Column[int]:
    """A time in milliseconds; 0 means none."""
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def maybe_time_column(name: str) -> Column[int]:
    """A time in milliseconds, or NULL."""
    return Column(name, BigInteger, nullable=True)


def account_column(*, primary_key: bool = False) -> Column[str]:
    """The account that a row belongs to."""
    return Column("account_id", Text, ForeignKey("accounts.id"), primary_key=primary_key, nullable=False)


def user_column(name: str = "user_id", *, primary_key: bool = False, nullable: bool = False) -> Column[int]:
    """A user; the row is deleted with the user."""
    key = ForeignKey("users.id", ondelete="CASCADE")
    return Column(name, RowId, key, primary_key=primary_key, nullable=nullable)
