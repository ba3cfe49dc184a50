"""The manifest of an artifact: its key and the digest of its every file. Nothing in it depends on clock or host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uae_bench.errors import StoreError, UaeBenchError
from uae_bench.store.digests import Json, canonical_json, digest_of, file_digest, file_names
from uae_bench.store.files import write_atomically
from uae_bench.store.key import Key

MANIFEST = "manifest.json"
_FORMAT = 1


def write_manifest(folder: Path, key: Key, label: str) -> str:
    """Describe the files of a folder in its manifest; returns the content digest.

    `label` says in words what the artifact was made as; it is no part of key or digest.

    Raises:
        StoreError: the folder holds a link, or a file of the manifest's name.
    """
    if (folder / MANIFEST).exists():
        raise StoreError(f"stage {key.stage} wrote a {MANIFEST}, the store's own file", hint="name it otherwise")
    files = {name: file_digest(folder / name) for name in file_names(folder)}
    sizes = {name: (folder / name).stat().st_size for name in files}
    digest = digest_of(files)
    manifest: Json = {
        "format": _FORMAT, "label": label, "key": key.to_json(), "files": files, "sizes": sizes, "digest": digest,
    }  # fmt: skip
    write_atomically(folder / MANIFEST, canonical_json(manifest) + "\n")
    return digest


def verified_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an artifact whose every file was hashed and is as it was written.

    Raises:
        StoreError: anything missing, added or altered; the message names it.
    """
    fault = fault_of(folder)
    if fault:
        raise StoreError(
            f"the artifact {folder} cannot be used: {fault}",
            hint="`uae-bench cache gc` removes it; the next run makes it again",
        )
    return read_manifest(folder)


def fault_of(folder: Path) -> str:
    """What is wrong with an artifact, or "": every file is hashed."""
    fault = torn(folder)
    if fault:
        return fault
    manifest = read_manifest(folder)
    for name, digest in manifest["files"].items():
        if file_digest(folder / name) != digest:
            return f"{name} was altered"
    if digest_of(manifest["files"]) != manifest["digest"]:
        return f"{MANIFEST} was altered: its digest is not that of its files"
    return ""


def torn(folder: Path) -> str:
    """What is wrong with an artifact as far as names and sizes show, or ""."""
    try:
        manifest = read_manifest(folder)
        key = Key.from_json(manifest["key"])
        if manifest["format"] != _FORMAT:
            return f"{MANIFEST} has format {manifest['format']}; this version reads {_FORMAT}"
        names, sizes = set(file_names(folder)) - {MANIFEST}, manifest["sizes"]
        if not isinstance(manifest["digest"], str) or manifest["files"].keys() != sizes.keys():
            return f"{MANIFEST} was altered"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UaeBenchError) as error:
        return f"{MANIFEST} is missing or unreadable ({error})"
    if (key.stage, key.digest) != (folder.parent.name, folder.name):
        return f"{MANIFEST} was altered: its key is not this folder's"
    if names != sizes.keys():
        return f"{min(names ^ sizes.keys())} is {'missing' if sizes.keys() - names else 'not of it'}"
    wrong = [name for name in sorted(names) if (folder / name).stat().st_size != sizes[name]]
    return f"{wrong[0]} was altered" if wrong else ""


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest as it stands, unchecked."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest
