"""Files that are either whole or not there, and locks that die with their process."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from uae_bench.errors import StoreError, UaeBenchError

_NOTHING_LEFT = 65_536  # bytes
_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than this process may write",
}
_REFUSED = {
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "writing is not permitted",
    errno.EPERM: "writing is not permitted",
    errno.ENOENT: "the place does not exist and cannot be made",
    errno.ENOTDIR: "a file stands where a folder should be",
    errno.EEXIST: "a file stands where a folder should be",
}


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file whole or not at all; text as UTF-8. The folder is made where it is missing.

    A kill leaves at most `.<name>.part` beside it, which the next write of the same file replaces.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    with explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(path.parent):
            part = path.with_name(f".{path.name}.part")
            try:
                _write_through(part, content)
                part.replace(path)
            except BaseException:
                with suppress(OSError):
                    part.unlink()
                raise
            sync(path.parent)


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def sync(path: Path) -> None:
    """Force one file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def lock(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold an exclusive lock on an existing file or folder; the kernel gives it back when the process dies.

    `on_wait` is called once when somebody else holds it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def lock_if_free(path: Path) -> Iterator[bool]:
    """Whether the lock on an existing file was free; if so it is held meanwhile."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn a disk that is full, or that refuses this folder, into a StoreError naming it; let all else pass."""
    try:
        yield
    except UaeBenchError:
        raise
    except Exception as error:
        reason = _unwritable(error, folder)
        if reason is None:
            raise
        raise StoreError(
            f"cannot write in {folder}: {reason}",
            hint="free space there, or name another folder; the same command then goes on where it stopped",
        ) from error


def _unwritable(error: BaseException | None, folder: Path) -> str | None:
    """Why a write failed, if it is the disk's doing."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return f"{_FULL[error.errno]} ({error})"
        if isinstance(error, OSError) and error.errno in _REFUSED and _concerns(error, folder):
            return f"{_REFUSED[error.errno]} ({error})"
        # Writers in native code raise their own types and keep the system's words (safetensors) or lose even those
        # (numpy's short write, torch), so the disk itself is asked.
        if os.strerror(errno.ENOSPC) in str(error) or (_reasonless(error) and is_full(folder)):
            return f"{_FULL[errno.ENOSPC]} ({error})"
        error = error.__cause__ or error.__context__
    return None


def _reasonless(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) or (isinstance(error, OSError) and error.errno is None)


def is_full(place: Path) -> bool:
    """Whether next to nothing may still be written where a file or folder is, or would be."""
    existing = next(path for path in (place, *place.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free < _NOTHING_LEFT


def _concerns(error: OSError, folder: Path) -> bool:
    """Whether the error's file lies in the folder or above it: other files are not the store's business."""
    if error.filename is None:
        return False
    path = Path(os.fsdecode(error.filename)).absolute()
    return path.is_relative_to(folder.absolute()) or folder.absolute().is_relative_to(path)
