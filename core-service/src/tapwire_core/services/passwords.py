"""Passwords as argon2id hashes. Each takes 64 MiB and up to 0.2 s of two cores, so two lanes make and check them one by one.

More at once would fill the memory. Logins have their own lane: when they fill it, operators who are logged in don't wait.
"""

import asyncio
import functools
import hashlib
import secrets
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tapwire_core.errors import DomainError

MAX_QUEUED: Final = 20
"""Limit of queued passwords in a lane; the last one waits some seconds."""
RETRY_AFTER_MS: Final = 1_000
"""Wait before a retry when a lane is full."""
SCRYPT_COST: Final = 2**14
"""Cost of scrypt: 16 MiB and tens of milliseconds."""

_hasher: Final = PasswordHasher()

P = ParamSpec("P")
R = TypeVar("R")


class PasswordsBusy(DomainError):
    """The lane is full: one more password would wait too long."""

    code = "passwords_busy"


class Lane:
    """A hashing thread with a bounded queue."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"password-{name}")
        self._taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place in the lane; raises `PasswordsBusy` at once when it is full."""
        if self._taken >= MAX_QUEUED:
            raise PasswordsBusy(
                "Too many passwords are waiting to be checked: try again in a moment.", retry_after_ms=RETRY_AFTER_MS
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run slow work in the lane's thread; take a place first."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, functools.partial(work, *args, **kwargs))


LOGINS: Final = Lane("logins")
STAFF: Final = Lane("staff")
"""For operators with a session, and for commands."""


async def hash_password(password: str) -> str:
    """Hash a password for storage, in composed form: keyboards differ in how they compose letters."""
    with STAFF.place():
        return await STAFF.run(_hasher.hash, normalize_password(password))


async def hash_slowly(content: bytes, salt: bytes) -> bytes:
    """Hash content that includes a password, for comparison: deterministic, and as slow to guess as a password's hash."""
    with STAFF.place():
        return await STAFF.run(hashlib.scrypt, content, salt=salt, n=SCRYPT_COST, r=8, p=1)


def is_password(password_hash: str | None, password: str) -> bool:
    """Check a password; run it in a lane. Without a hash it takes as long, and returns False.

    Also in the other forms of its letters, since a hash may be of a former version, which took what was typed.
    """
    forms = dict.fromkeys((normalize_password(password), password, unicodedata.normalize("NFD", password)))
    return any(_is_hash_of(password_hash, form) for form in forms)


def normalize_password(password: str) -> str:
    """The composed form (NFC) of a password."""
    return unicodedata.normalize("NFC", password)


def _is_hash_of(password_hash: str | None, password: str) -> bool:
    try:
        return _hasher.verify(password_hash or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False


@functools.cache
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe())
