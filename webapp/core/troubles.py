"""What is wrong when the database or Redis fails, each in one sentence; no SQL, path or password is in it."""

import errno
import os

from redis.exceptions import AuthenticationError, BusyLoadingError, OutOfMemoryError, RedisError
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError

FULL = "The server's disk is full; remove clips or runs for good, and try again."

DISK = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)

DATABASE = {
    "locked": "Another program holds the database for itself; try again later.",
    "is full": FULL,
    "readonly": "The database cannot be written: its file or folder is read-only.",
    "malformed": "The database is damaged; put a backup in its place (docs/operations.md).",
    "not a database": "The database's file is damaged; put a backup in its place (docs/operations.md).",
    "unable to open": "The database's file cannot be opened; look at its folder's rights.",
    "disk i/o error": "The database's disk fails: it cannot be read or written.",
    "no such table": "The database is empty: start Stillmotion anew, which makes the tables.",
}


def database_trouble(error: SQLAlchemyError) -> str | None:
    """Say what is wrong; None for what only an error inside Stillmotion can cause."""
    text = str(getattr(error, "orig", error)).lower()
    for word, sentence in DATABASE.items():
        if word in text:
            return sentence
    if isinstance(error, DBAPIError) and not isinstance(error, (IntegrityError, ProgrammingError)):
        return "The database does not answer; try again later."
    return None


def disk_trouble(error: OSError) -> str | None:
    """Say what is wrong with the server's disk or a folder's rights; None for what is wrong with one file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FULL
    if error.errno in DISK:
        reason = os.strerror(error.errno)
        return f"The server cannot use a file or folder of its own ({reason}); look at its disk and rights."
    return None


def trouble(error: BaseException) -> str | None:
    """Say what is wrong with disk or database; None for what only an error inside Stillmotion can cause."""
    if isinstance(error, OSError):
        return disk_trouble(error)
    return database_trouble(error) if isinstance(error, SQLAlchemyError) else None


def redis_trouble(error: RedisError) -> str:
    """Say what is wrong, as the end of a sentence."""
    if isinstance(error, OutOfMemoryError):
        return "Redis has no memory left (its maxmemory)"
    if isinstance(error, AuthenticationError) or str(error).startswith("NOAUTH"):
        return "Redis asks for another password than that in REDIS_URL"
    if isinstance(error, BusyLoadingError):
        return "Redis is still starting"
    if str(error).startswith(("MISCONF", "READONLY")):
        return "Redis cannot write, most likely because its disk is full"
    return "Redis does not answer"
