"""Keeping a text that only its asker can read again: sealed with a key that is not kept.

The text is added to a SHAKE-256 stream of key and nonce, and key, nonce and outcome are signed with HMAC-SHA-256. A nonce is used
once, and the key has at least 128 bits that nobody can guess, so what lies in the database is worth nothing without it.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final

NONCE_BYTES: Final = 16
TAG_BYTES: Final = 32


def seal(key: bytes, text: str) -> str:
    """The text as it may be kept."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    hidden = _add_stream(key, nonce, text.encode())
    return base64.b64encode(nonce + _tag(key, nonce + hidden) + hidden).decode()


def unseal(key: bytes, sealed: str) -> str | None:
    """The text again; None when it was sealed with another key."""
    kept = base64.b64decode(sealed)
    nonce, tag, hidden = kept[:NONCE_BYTES], kept[NONCE_BYTES : NONCE_BYTES + TAG_BYTES], kept[NONCE_BYTES + TAG_BYTES :]
    if not hmac.compare_digest(tag, _tag(key, nonce + hidden)):
        return None
    return _add_stream(key, nonce, hidden).decode()


def _add_stream(key: bytes, nonce: bytes, content: bytes) -> bytes:
    stream = hashlib.shake_256(b"stream" + hashlib.sha256(key).digest() + nonce).digest(len(content))
    return bytes(byte ^ other for byte, other in zip(content, stream, strict=True))


def _tag(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, b"tag" + content, "sha256")
