"""Writing that survives a kill: whole files and whole folders appear at once, or not at all; and a file's digest.

Knows nothing of what is written.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medstt.errors import ConflictError, ResourceError

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENOENT}


@contextmanager
def naming_disk_errors(target: Path) -> Iterator[None]:
    """Turn the system's errors of writing ``target`` into a ResourceError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise ResourceError(f"{target}: the disk is full", "Free some space and run again") from error
        if error.errno in _NOT_WRITABLE:
            raise ResourceError(
                f"{target}: cannot be written ({error.strerror})", "Choose a folder that you may write to"
            ) from error
        raise ResourceError(f"{target}: writing failed ({error.strerror})", "Check the disk and run again") from error


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as hex; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable (no effect where folders cannot be opened, as on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it; not atomic, see ``write_atomically``."""
    with path.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that readers, and a later start after a kill, see the old or the new one, never a part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with naming_disk_errors(path):
        try:
            write_durably(partial, content.encode() if isinstance(content, str) else content)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def copy_durably(source: Path, target: Path) -> None:
    """Copy one file's content and wait until the disk has it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as reader, target.open("wb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder to fill, which becomes ``target`` when it is whole and vanishes otherwise.

    Raises ConflictError where ``target`` holds something. Two writers of one target need a lock.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConflictError(f"{target} exists and is not empty", "Name a new folder")
    staging = target.with_name(f".{target.name}.partial")
    with naming_disk_errors(target):
        try:
            shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
            staging.mkdir(parents=True)
            yield staging
            sync_folder(staging)
            staging.replace(target)
            sync_folder(target.parent)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise


@contextmanager
def locked_file(path: Path, wait_s: float) -> Iterator[None]:
    """Hold a lock file (the system releases it when the process dies); raises ConflictError after ``wait_s``."""
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=wait_s)
    with naming_disk_errors(path):
        try:
            lock.acquire()
        except Timeout as error:
            raise ConflictError(
                f"{path.parent} is being changed by another process", "Try again when it has finished"
            ) from error
    try:
        yield
    finally:
        lock.release()
