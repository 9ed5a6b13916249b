"""Kinds of columns that SQLAlchemy does not have."""

from datetime import UTC, datetime

import sqlalchemy
from sqlalchemy import DateTime, Text, TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets the time zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: sqlalchemy.Dialect) -> datetime | None:
        """Mark a naive value from the database as UTC."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Tags(TypeDecorator[list[str]]):
    """Lines, as one text with a line end before, between and after them, in which one can be looked for."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: list[str] | None, dialect: sqlalchemy.Dialect) -> str:
        """Join them."""
        return "".join(f"\n{tag}" for tag in value) + "\n" if value else ""

    def process_result_value(self, value: str | None, dialect: sqlalchemy.Dialect) -> list[str]:
        """Split them."""
        return (value or "").split("\n")[1:-1]
