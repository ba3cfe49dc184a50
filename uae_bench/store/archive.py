"""Artifacts as one tar file: plain, in a fixed order, without times or owners, so that equal content is equal bytes."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from uae_bench.errors import BadInput
from uae_bench.store.digests import file_names

_NAME = re.compile(r"[a-z][a-z0-9-]*/[0-9a-f]{64}/.+")


def pack(root: Path, folders: Iterable[Path], path: Path) -> None:
    """Write the files of these folders below `root` to a tar; it appears whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
            for folder in folders:
                for name in file_names(folder):
                    member = tarfile.TarInfo((folder / name).relative_to(root).as_posix())
                    member.size = (folder / name).stat().st_size
                    with (folder / name).open("rb") as stream:
                        tar.addfile(member, stream)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def unpack(path: Path, target: Path) -> None:
    """Write the files of a tar below `target`.

    Raises:
        BadInput: no such file, no tar, a torn one, or a member that is no file or lies outside an artifact.
    """
    target.mkdir(parents=True)
    try:
        _check_end(path)
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                _extract(tar, member, target, path)
    except FileNotFoundError as error:
        raise BadInput(f"there is no archive {path}", hint="`uae-bench export` writes one") from error
    except (tarfile.TarError, EOFError) as error:
        raise BadInput(f"{path} is no whole tar archive: {error}", hint="copy it again, or export it anew") from error


def _check_end(path: Path) -> None:
    """A tar ends in two empty blocks; cut off between two files it would pass for a smaller one."""
    size = 2 * tarfile.BLOCKSIZE
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - size))
            end = stream.read()
    except (IsADirectoryError, PermissionError) as error:
        raise tarfile.ReadError(error.strerror) from error
    if end != bytes(size):
        raise tarfile.ReadError("its end is missing")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, path: Path) -> None:
    parts = PurePosixPath(member.name).parts
    if not member.isreg() or not _NAME.fullmatch(member.name) or ".." in parts or "\0" in member.name:
        raise BadInput(f"{path} holds {member.name!r}, which is no file of an artifact", hint="do not trust its source")
    destination = target.joinpath(*parts)
    if destination.exists():
        raise BadInput(f"{path} holds {member.name!r} twice", hint="do not trust its source")
    destination.parent.mkdir(parents=True, exist_ok=True)
    stream = tar.extractfile(member)
    assert stream is not None  # a regular member has content
    with stream, destination.open("wb") as out:
        shutil.copyfileobj(stream, out)
