"""Folders of model weights: found on this machine or fetched from the hub, and identified by content. No torch."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from uae_bench.errors import ModelUnavailable, StoreError
from uae_bench.store import digest_of, file_digest, write_atomically

WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "README.md")
REACH_SECONDS = 3.0
_digests: dict[str, str] = {}


def find_folder(name: str, revision: str, *, offline: str) -> Path:
    """The folder behind a model's name: a folder on this machine, else the hub's snapshot, fetched if need be.

    A name with a leading `.`, `/` or `~` is a folder and nothing else. `revision` "" means the hub's main branch;
    a snapshot already on this machine is used as it is. `offline` names what would do in its place without the hub.

    Raises:
        ModelUnavailable: no such folder or hub name, or the hub cannot be reached; said within seconds.
    """
    folder = Path(name).expanduser()
    if folder.is_dir() and not revision:
        return folder
    if name.startswith((".", "/", "~")):
        why = "folders have no revisions" if folder.is_dir() else "there is no such folder"
        raise ModelUnavailable(f"cannot load {name!r}: {why}", hint="check the path")
    return _snapshot(name, revision or None, offline)


def identify(paths: Iterable[Path]) -> str:
    """sha256 over the names and contents of files; a file is read again only when its size or time changed."""
    return digest_of({path.name: _digest(path) for path in sorted(paths)})


def read_json(path: Path) -> Mapping[str, object]:
    """A JSON object beside weights; empty where there is no such file.

    Raises:
        ModelUnavailable: the file is there but holds no JSON object.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{path} cannot be read: {error}", hint="copy the model's folder again") from error
    if not isinstance(content, dict):
        raise ModelUnavailable(f"{path} holds no JSON object", hint="copy the model's folder again")
    return content


def _snapshot(name: str, revision: str | None, offline: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    wanted = list(WANTED)
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted, local_files_only=True))
    except HFValidationError as error:
        hint = "give the hub's owner/name, or the path of a folder that is there"
        raise ModelUnavailable(f"{name!r} is neither a folder here nor a name on the hub", hint=hint) from error
    except LocalEntryNotFoundError:
        pass
    hint = f"copy the model's folder here and name its path; what needs no hub: {offline}"
    if not _hub_answers():
        raise ModelUnavailable(f"{name!r} is not on this machine and the hub cannot be reached", hint=hint)
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted, etag_timeout=REACH_SECONDS))
    except GatedRepoError as error:
        raise ModelUnavailable(
            f"{name!r} is gated: its owner grants access by name", hint="accept its licence there, then `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelUnavailable(f"the hub has no model {name!r} that you may see", hint="check the name") from error
    except (HfHubHTTPError, OSError) as error:
        raise ModelUnavailable(f"fetching {name!r} failed: {error}", hint=hint) from error


def _hub_answers() -> bool:
    """Whether a connection can be opened at all: the hub's own client may wait far longer before it gives up."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(variable) for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True  # only the proxy can tell
    endpoint = urlsplit(constants.ENDPOINT)
    try:
        port = endpoint.port or (443 if endpoint.scheme == "https" else 80)
        with socket.create_connection((endpoint.hostname or "", port), timeout=REACH_SECONDS):
            return True
    except OSError:
        return False


def _digest(path: Path) -> str:
    status = path.stat()
    key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
    if not _digests:
        _digests.update(_remembered())
    if key not in _digests:
        _digests[key] = file_digest(path)
        if status.st_size > 2**20:  # small files are read faster than the memory of them
            _remember(key, _digests[key])
    return _digests[key]


def _memory() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "uae-bench" / "weights.json"


def _remembered() -> dict[str, str]:
    """Digests that an earlier process computed; a memory that cannot be read is no loss."""
    with suppress(OSError, ValueError):
        content = json.loads(_memory().read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return {str(key): str(digest) for key, digest in content.items()}
    return {}


def _remember(key: str, digest: str) -> None:
    with suppress(OSError, StoreError):  # a home that cannot be written costs time, not correctness
        write_atomically(_memory(), json.dumps({**_remembered(), key: digest}, indent=1))
