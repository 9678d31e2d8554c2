"""Passwords as argon2id hashes. Each takes 64 MiB and tens of milliseconds, so they are made and checked in two threads.

More at once would fill the memory and, for a guesser, go around the lock-out.
"""

import asyncio
import functools
import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

CHECKS_AT_ONCE: Final = 2
SCRYPT_COST: Final = 2**14
"""16 MiB and tens of milliseconds."""

_hasher: Final = PasswordHasher()
_threads: Final = ThreadPoolExecutor(CHECKS_AT_ONCE, thread_name_prefix="password")


async def hash_password(password: str) -> str:
    """The hash to keep."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def hash_slowly(content: bytes, salt: bytes) -> bytes:
    """A hash to recognise a content by that holds a password: always the same, and no easier to guess from than a password's."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _scrypt, content, salt)


async def matches(password_hash: str | None, password: str) -> bool:
    """Whether this is the password. Without a hash it is not, and finding that out takes as long."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _verify, password_hash, password)


def _scrypt(content: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(content, salt=salt, n=SCRYPT_COST, r=8, p=1)


def _verify(password_hash: str | None, password: str) -> bool:
    try:
        return _hasher.verify(password_hash or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False


@functools.cache
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe())
