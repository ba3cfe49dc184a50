"""Digests of values, files and folders: sha256, in hexadecimal, the same on every machine."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, Union

from uae_bench.errors import BadInput, StoreError

Json: TypeAlias = Union[bool, int, float, str, Sequence["Json"], Mapping[str, "Json"], None]  # noqa: UP007 (recursive)


def canonical_json(value: Json) -> str:
    """The one JSON text of a value: ASCII, sorted keys, no spaces, floats as their shortest repr.

    1 and 1.0 are different values; a tuple and a list are the same one.

    Raises:
        BadInput: nan, an infinity, a mapping key that is no string, or a type that JSON does not have.
    """
    return json.dumps(_plain(value, "value"), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(value: Json) -> str:
    """sha256 of the canonical JSON of a value.

    Raises:
        BadInput: as `canonical_json`.
    """
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def finite(value: Any) -> Any:
    """The same with None for nan and infinities: they are undefined, and JSON has no word for them but null."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_digest(folder: Path, *, without: Collection[str] = ()) -> str:
    """sha256 over the sorted relative names of a folder's files, each with its own digest.

    Times, permissions and empty folders do not count. `without` names files (relative, with slashes) to leave out.

    Raises:
        StoreError: the folder holds something that is neither file nor folder (a link would point outside).
    """
    return digest_of({name: file_digest(folder / name) for name in file_names(folder) if name not in without})


def file_names(folder: Path) -> list[str]:
    """Relative names of all files below a folder, with slashes, sorted.

    Raises:
        StoreError: something below is neither file nor folder.
    """
    names = []
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise StoreError(f"{path} is a link or a device; only files and folders can be stored", hint="copy it")
        if path.is_file():
            names.append(path.relative_to(folder).as_posix())
    return sorted(names)


def _plain(value: Json, where: str) -> object:
    """The value in dicts, lists and scalars; `where` is its place, for the message."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise BadInput(f"{where} is {value}, which JSON does not have", hint="give a finite number")
            return value
        case Mapping():
            for name in value:
                if not isinstance(name, str):
                    raise BadInput(f"{where} has the key {name!r}, which is no string", hint="use string keys")
            return {name: _plain(item, f"{where}.{name}") for name, item in value.items()}
        case list() | tuple():
            return [_plain(item, f"{where}[{position}]") for position, item in enumerate(value)]
    raise BadInput(f"{where} is a {type(value).__name__}, which JSON does not have", hint="convert it first")
