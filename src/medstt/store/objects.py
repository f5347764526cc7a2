"""Encrypted objects in local files: streamed in, fsynced, read at any offset, rewrapped, deleted.

An object is ``magic | slot A | slot B | chunks``. A slot holds the object's own key wrapped by a settings key; two
slots make rotation safe against a crash in its middle. Chunks of 64 KiB are sealed one by one (AES-256-GCM; the nonce
counts chunks and marks the last, so that a cut file cannot pass for a short one: the STREAM construction, Hoang et al.
2015). Knows nothing of dictations.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import secrets
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typing_extensions import Buffer

from medstt.errors import DataError, NotFoundError, ResourceError
from medstt.store.crypt import KEY_ID_BYTES, KeyRing, UnknownKey

MAGIC = b"MEDSTT\x01\n"
WRAPPED_BYTES = 60
SLOT_BYTES = KEY_ID_BYTES + WRAPPED_BYTES
HEADER_BYTES = len(MAGIC) + 2 * SLOT_BYTES
CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
SEALED_BYTES = CHUNK_BYTES + TAG_BYTES
FREE_BYTES = 64 << 20  # below this the service calls itself not ready
NAME = re.compile(r"[0-9a-f]{32}")


def _nonce(index: int, last: bool) -> bytes:
    return struct.pack(">xxxQ?", index, last)


@contextmanager
def translated_os_errors() -> Iterator[None]:
    """Turn a full or broken disk into ResourceError, a missing file into NotFoundError."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError("the stored object is gone", "It was erased, or the storage folder was moved.") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the storage disk is full" if full else f"storage failed: {error.strerror}"
        raise ResourceError(what, "Free space or check the storage folder, then retry.") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ObjectWriter:
    """One object being written: ``write`` any number of times, then ``commit`` or ``abort``."""

    def __init__(self, draft: Path, final: Path, header: bytes, key: bytes, durable: bool) -> None:
        self.size_bytes = 0
        self._draft, self._final, self._durable = draft, final, durable
        self._cipher = AESGCM(key)
        self._hash = hashlib.sha256()
        self._pending = bytearray()
        self._index = 0
        with translated_os_errors():
            draft.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
            self._file.write(header)

    @property
    def digest(self) -> str:
        """SHA-256 of the plain bytes so far, as hex."""
        return self._hash.hexdigest()

    def _seal(self, chunk: bytes, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._index, last), chunk, None))
        self._index += 1

    def write(self, data: bytes) -> None:
        """Append plain bytes; only ciphertext reaches the disk."""
        self._hash.update(data)
        self.size_bytes += len(data)
        self._pending += data
        with translated_os_errors():
            while len(self._pending) > CHUNK_BYTES:  # the last chunk is kept back: commit marks it
                self._seal(bytes(self._pending[:CHUNK_BYTES]), last=False)
                del self._pending[:CHUNK_BYTES]

    def commit(self) -> None:
        """Finish the object; when this returns, it survives a power cut (unless it is a spool object)."""
        with translated_os_errors():
            self._seal(bytes(self._pending), last=True)
            self._file.flush()
            if self._durable:
                os.fsync(self._file.fileno())
            self._file.close()
            self._draft.replace(self._final)
            if self._durable:
                _sync_folder(self._final.parent)

    def abort(self) -> None:
        """Remove what was written; safe to call twice and after commit."""
        if not self._file.closed:
            with suppress(OSError):  # closing writes what is left, which a full disk refuses once more
                self._file.close()
        self._draft.unlink(missing_ok=True)


class ObjectReader(io.RawIOBase):
    """A seekable binary file over an encrypted object; decrypts only the chunks it is asked for."""

    def __init__(self, path: Path, key: bytes) -> None:
        super().__init__()
        self._cipher = AESGCM(key)
        self._position = 0
        self._chunk: tuple[int, bytes] = (-1, b"")
        with translated_os_errors():
            self._file = path.open("rb")
            body = path.stat().st_size - HEADER_BYTES
        if body < TAG_BYTES:
            raise DataError("a stored object is cut short", "Restore it from a backup.")
        self._last = (body - 1) // SEALED_BYTES
        self.size_bytes = body - (self._last + 1) * TAG_BYTES

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read at any place."""
        return True

    def tell(self) -> int:
        """Return the position in plain bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position in plain bytes."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size_bytes}[whence]
        self._position = max(0, start + offset)
        return self._position

    def _open_chunk(self, index: int) -> bytes:
        if self._chunk[0] != index:
            with translated_os_errors():
                self._file.seek(HEADER_BYTES + index * SEALED_BYTES)
                sealed = self._file.read(SEALED_BYTES)
            try:
                self._chunk = (index, self._cipher.decrypt(_nonce(index, index == self._last), sealed, None))
            except InvalidTag as error:
                raise DataError("a stored object was changed or cut", "Restore it from a backup.") from error
        return self._chunk[1]

    def readinto(self, buffer: Buffer) -> int:
        """Fill the buffer from the position on; 0 at the end."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self._position < self.size_bytes:
            index, start = divmod(self._position, CHUNK_BYTES)
            piece = self._open_chunk(index)[start : start + len(view) - done]
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._position += len(piece)
        return done

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()


class ObjectStore:
    """Objects under one folder, each with its own key wrapped by the ring's active key."""

    def __init__(self, folder: Path, ring: KeyRing) -> None:
        self.folder = folder
        self.ring = ring

    def path(self, name: str) -> Path:
        """Return where an object lies; raises NotFoundError for anything that is not a name of ours."""
        if not NAME.fullmatch(name):
            raise NotFoundError("no such object")
        return self.folder / "objects" / name[:2] / name

    def create(self) -> tuple[str, ObjectWriter]:
        """Begin a new object; returns its name and the writer."""
        name, key = secrets.token_hex(16), os.urandom(32)
        slot = self._slot(key, name)
        final = self.path(name)
        header = MAGIC + slot + bytes(SLOT_BYTES)
        return name, ObjectWriter(final.with_name(name + ".part"), final, header, key, durable=True)

    def spool(self) -> tuple[Path, bytes, ObjectWriter]:
        """Begin an object that is only passing through: its key is never stored, nothing is fsynced."""
        name, key = secrets.token_hex(16), os.urandom(32)
        path = self.folder / "spool" / name
        header = MAGIC + bytes(2 * SLOT_BYTES)
        return path, key, ObjectWriter(path.with_name(name + ".part"), path, header, key, durable=False)

    def check(self) -> None:
        """Raise ResourceError unless the folder can be written and has room."""
        with translated_os_errors():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not os.access(self.folder, os.W_OK):
                raise ResourceError(f"the storage folder {self.folder} is not writable", "Check its rights.")
            if shutil.disk_usage(self.folder).free < FREE_BYTES:
                raise ResourceError("the storage disk is full", "Free space.")

    def put(self, data: bytes) -> str:
        """Store bytes durably and return the object's name."""
        name, writer = self.create()
        try:
            writer.write(data)
            writer.commit()
        finally:
            writer.abort()
        return name

    def get(self, name: str) -> bytes:
        """Return an object's plain bytes."""
        with self.open(name) as reader:
            return reader.readall() or b""

    def open(self, name: str) -> ObjectReader:
        """Open an object for reading at any offset."""
        return ObjectReader(self.path(name), self.key(name))

    def key(self, name: str) -> bytes:
        """Return an object's own key, for a process that may read this object and no other."""
        with translated_os_errors(), self.path(name).open("rb") as file:
            header = file.read(HEADER_BYTES)
        return self._unwrap(header, name)[1]

    def rewrap(self, name: str) -> bool:
        """Wrap an object's key by the active key, in the slot not in use, then clear the old one; False if it was."""
        with translated_os_errors(), self.path(name).open("r+b") as file:
            slot, key = self._unwrap(file.read(HEADER_BYTES), name)
            file.seek(len(MAGIC) + slot * SLOT_BYTES)
            if file.read(KEY_ID_BYTES).decode("ascii", "replace") == self.ring.active:
                return False
            for target, content in ((1 - slot, self._slot(key, name)), (slot, bytes(SLOT_BYTES))):
                file.seek(len(MAGIC) + target * SLOT_BYTES)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        return True

    def delete(self, name: str) -> None:
        """Overwrite the wrapped key, then remove the file; an object that is gone already is fine."""
        path = self.path(name)
        try:
            with path.open("r+b") as file:
                file.write(bytes(HEADER_BYTES))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            _sync_folder(path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ResourceError(
                f"an object cannot be deleted: {error.strerror}", "Check the storage folder."
            ) from error

    def names(self) -> Iterator[tuple[str, float]]:
        """Yield every object's name, drafts included (``.part`` kept), with its time of change in seconds."""
        for path in sorted((self.folder / "objects").glob("*/*")):
            try:
                yield path.name, path.stat().st_mtime
            except FileNotFoundError:
                continue

    def clear_drafts(self, older_than: float) -> int:
        """Remove drafts and spool files last changed before a Unix time in seconds; returns how many."""
        count = 0
        for path in [*(self.folder / "objects").glob("*/*.part"), *(self.folder / "spool").glob("*")]:
            try:
                if path.stat().st_mtime < older_than:
                    path.unlink()
                    count += 1
            except FileNotFoundError:
                continue
        return count

    def _slot(self, key: bytes, name: str) -> bytes:
        key_id, wrapped = self.ring.wrap(key, name)
        return key_id.encode().ljust(KEY_ID_BYTES, b"\0") + wrapped

    def _unwrap(self, header: bytes, name: str) -> tuple[int, bytes]:
        if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
            raise DataError(f"object {name} has a damaged header", "Restore it from a backup.")
        problem: DataError = DataError(f"object {name} holds no key", "Restore it from a backup.")
        for slot in (0, 1):
            start = len(MAGIC) + slot * SLOT_BYTES
            key_id = header[start : start + KEY_ID_BYTES].rstrip(b"\0").decode("ascii", "replace")
            if not key_id:
                continue
            try:
                return slot, self.ring.unwrap(key_id, header[start + KEY_ID_BYTES : start + SLOT_BYTES], name)
            except UnknownKey as error:
                problem = error
            except DataError as error:  # half-written by a crash: the other slot still holds
                problem = problem if isinstance(problem, UnknownKey) else error
        raise problem
