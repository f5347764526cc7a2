"""Keys: the settings key that wraps object keys, the index key behind keyed hashes, and encrypted fields.

Knows nothing of files of patients, tables or people. AES-256-GCM (NIST SP 800-38D), HKDF-SHA256 (RFC 5869).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from medstt.errors import DataError, ResourceError

KEY_ID_BYTES = 8
NONCE_BYTES = 12


class UnknownKey(DataError):
    """Something was encrypted with a key that is not in the key file."""

    code = "unknown_key"


@lru_cache(maxsize=64)  # a page of a list opens a hundred fields with the same two keys
def _derive(secret: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"medstt {purpose}".encode()).derive(secret)


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """The wrapping keys by id, the one in use, and the index key; never printed, never logged."""

    active: str
    keys: dict[str, bytes]
    index: bytes

    def _secret(self, key_id: str, purpose: str) -> bytes:
        if key_id not in self.keys:
            raise UnknownKey(f"encrypted with key {key_id!r}, which the key file does not hold", "Restore that key.")
        return _derive(self.keys[key_id], purpose)

    def wrap(self, data_key: bytes, name: str) -> tuple[str, bytes]:
        """Return the active key's id and ``data_key`` encrypted for the object ``name`` (60 bytes)."""
        nonce = os.urandom(NONCE_BYTES)
        return self.active, nonce + AESGCM(self._secret(self.active, "wrap")).encrypt(nonce, data_key, name.encode())

    def unwrap(self, key_id: str, wrapped: bytes, name: str) -> bytes:
        """Return the data key; raises UnknownKey or DataError."""
        cipher = AESGCM(self._secret(key_id, "wrap"))
        try:
            return cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], name.encode())
        except InvalidTag as error:
            raise DataError(f"object {name}: its key does not unwrap", "Restore the object from a backup.") from error

    def seal(self, value: str, place: str) -> str:
        """Encrypt a short text for one place (row and column); the same text never looks the same twice."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self._secret(self.active, "field")).encrypt(nonce, value.encode(), place.encode())
        return f"{self.active}:{base64.b64encode(nonce + sealed).decode()}"

    def unseal(self, sealed: str, place: str) -> str:
        """Decrypt what ``seal`` made for the same place; raises DataError when it was tampered with or moved."""
        key_id, _, body = sealed.partition(":")
        data = base64.b64decode(body)
        try:
            cipher = AESGCM(self._secret(key_id, "field"))
            return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode()).decode()
        except InvalidTag as error:
            raise DataError(f"the encrypted field {place} was changed", "Restore it from a backup.") from error

    def keyed_hash(self, value: str, purpose: str) -> str:
        """Return HMAC-SHA256 of ``value`` as hex: equal values can be found, not guessed without the key."""
        return hmac.new(_derive(self.index, purpose), value.encode(), hashlib.sha256).hexdigest()

    def rotated(self) -> KeyRing:
        """Return a ring with a new active key; the old ones stay until nothing uses them."""
        key_id = secrets.token_hex(KEY_ID_BYTES // 2)
        return KeyRing(key_id, {**self.keys, key_id: os.urandom(32)}, self.index)

    def only_active(self) -> KeyRing:
        """Return a ring without the keys that are no longer used."""
        return KeyRing(self.active, {self.active: self.keys[self.active]}, self.index)


def create_ring() -> KeyRing:
    """Make a ring with one random key."""
    key_id = secrets.token_hex(KEY_ID_BYTES // 2)
    return KeyRing(key_id, {key_id: os.urandom(32)}, os.urandom(32))


def write_ring(ring: KeyRing, path: Path, *, new: bool = False) -> None:
    """Write the ring as JSON, readable by its owner only, atomically and fsynced; ``new`` never replaces one."""
    body = {
        "active": ring.active,
        "keys": {key_id: base64.b64encode(key).decode() for key_id, key in ring.keys.items()},
        "index": base64.b64encode(ring.index).decode(),
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(body, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        if new:
            os.link(draft, path)  # fails if another process was first
            draft.unlink()
        else:
            draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read_ring(path: Path) -> KeyRing:
    """Read a key file; raises DataError naming it when it is malformed or readable by others."""
    try:
        if path.stat().st_mode & 0o077:
            raise DataError(f"key file {path} can be read by others", f"chmod 600 {path}")
        body = json.loads(path.read_text(encoding="utf-8"))
        ring = KeyRing(
            body["active"],
            {key_id: base64.b64decode(key, validate=True) for key_id, key in body["keys"].items()},
            base64.b64decode(body["index"], validate=True),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"key file {path} is malformed", "Restore it from a backup.") from error
    except OSError as error:
        raise ResourceError(f"key file {path} cannot be read: {error.strerror}", "Check path and rights.") from error
    if ring.active not in ring.keys or any(len(key) != 32 for key in [*ring.keys.values(), ring.index]):
        raise DataError(f"key file {path} lacks its active key or holds one of the wrong size", "Restore a backup.")
    return ring


def open_ring(path: Path) -> KeyRing:
    """Read the key file, or create it on first use (safe when several processes start at once)."""
    if not path.exists():
        try:
            write_ring(create_ring(), path, new=True)
        except FileExistsError:
            pass  # another process was first: its file is the one to read
        except OSError as error:
            raise ResourceError(f"key file {path} cannot be written: {error.strerror}", "Check the rights.") from error
    return read_ring(path)
