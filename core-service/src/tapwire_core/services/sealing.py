"""Sealed texts: encrypted with a key that is not kept (AES-256-GCM), so that only the key's owner can read them."""

import base64
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES: Final = 12
CIPHER_KEY_BYTES: Final = 32
PURPOSE: Final = b"tapwire sealed answer"


def seal(key: bytes, text: str) -> str:
    """Encrypt a text; `key` has at least 128 bits of entropy."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return base64.b64encode(nonce + _cipher(key).encrypt(nonce, text.encode(), None)).decode()


def unseal(key: bytes, sealed: str) -> str | None:
    """Decrypt a text; None when it was sealed with another key."""
    kept = base64.b64decode(sealed)
    try:
        return _cipher(key).decrypt(kept[:NONCE_BYTES], kept[NONCE_BYTES:], None).decode()
    except InvalidTag:
        return None


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), CIPHER_KEY_BYTES, None, PURPOSE).derive(key))
