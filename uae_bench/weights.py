"""Folders of model weights: found on this machine or fetched from the hub, and identified by content. No torch."""

from __future__ import annotations

import json
import math
import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from uae_bench.errors import BadInput, ModelUnavailable, StoreError
from uae_bench.store import digest_of, file_digest, write_atomically

WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "*.metadata", "README.md")
TOKENIZER = ("tokenizer*", "*.model", "*.jinja", "vocab*", "merges*", "special_tokens_map.json", "added_tokens.json")
_MODEL = frozenset({".safetensors", ".json", ".txt", ".model", ".metadata"})  # .metadata: of ColBERT, JSON
REACH_SECONDS = 3.0
PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".ckpt"})
CONVERTER, CONVERTED = "SFconvertbot", "Adding `safetensors` variant of this model"
"""Who offers a hub model's weights as safetensors where its owner has not, and the title of that pull request."""
_digests: dict[str, str] = {}
_settled: set[Path] = set()
"""Snapshots that may lack files which the hub cannot give now: it is asked once per process."""


def name_and_revision(spec: str) -> tuple[str, str]:
    """The parts of `name` or `name@revision`, "" where there is none; a folder that is there keeps the `@` of its name.

    Raises:
        BadInput: there is an `@` with nothing before or behind it.
    """
    if "@" not in spec or Path(spec).expanduser().is_dir():
        return spec, ""
    name, _, revision = spec.rpartition("@")
    if not name or not revision:
        raise BadInput(f"{spec!r} has an empty name or revision", hint="e.g. owner/name@main")
    return name, revision


def find_folder(name: str, revision: str, *, offline: str) -> Path:
    """The folder behind a model's name: a folder on this machine, else the hub's snapshot, fetched if need be.

    A name with a leading `.`, `/` or `~` is a folder and nothing else. `revision` "" means the hub's main branch;
    a snapshot already on this machine is used, and only what it may lack is fetched. `offline` names what would do in
    its place without the hub.

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


def folder_here(name: str) -> Path | None:
    """The folder behind a name where it is on this machine already, else None; nobody is asked."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if name.startswith((".", "/", "~")):
        return None
    try:
        return _kept(name, None)
    except ModelUnavailable:
        return None


def model_folder(spec: str, *, offline: str) -> Path:
    """The folder behind `name`, `name@revision` or a path, its weights safetensors.

    Raises:
        ModelUnavailable: it is not on this machine and cannot be fetched. BadInput: its weights are no safetensors.
    """
    name, revision = name_and_revision(spec)
    folder = find_folder(name, revision, offline=offline)
    require_safetensors(folder)
    return folder


def require_safetensors(folder: Path) -> None:
    """Nothing where a model's weights are safetensors: pickles run code when they are read, and never are.

    Raises:
        BadInput: a folder of the model keeps its weights in a pickle alone, or there are none.
    """
    safe = {path.parent for path in folder.rglob("*.safetensors")}
    pickled = sorted(path for path in folder.rglob("*") if path.suffix in PICKLES and path.parent not in safe)
    if pickled or not safe:
        what = f"keeps weights in {pickled[0].name}, a pickle" if pickled else "holds no safetensors weights"
        hint = (
            "take a revision that has safetensors (NAME@REVISION), or save the model anew: today's libraries write them"
        )
        raise BadInput(f"{folder} {what}", hint=hint)


def model_files(folder: Path) -> list[Path]:
    """Weights, configuration and tokenizer, at whatever depth: what decides what a model of a library computes."""
    return sorted(path for path in folder.rglob("*") if path.suffix in _MODEL and path.is_file())


def tokenizer_files(folder: Path) -> set[Path]:
    """What a language model's tokenizer is read from, its chat template too."""
    return {path for pattern in TOKENIZER for path in folder.glob(pattern)}


def identify_below(folder: Path, paths: Iterable[Path]) -> str:
    """sha256 over the places below a folder and contents of files."""
    return digest_of({path.relative_to(folder).as_posix(): identify([path]) for path in paths})


def identify(paths: Iterable[Path]) -> str:
    """sha256 over the names and contents of files."""
    return digest_of({path.name: sha256(path) for path in sorted(paths)})


def sha256(path: Path) -> str:
    """A file's sha256; the file is read again only when its size or time changed."""
    status = path.stat()
    key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
    if not _digests:
        _digests.update(_remembered())
    if key not in _digests:
        _digests[key] = file_digest(path)
        if status.st_size > 2**20:  # small files are read faster than the memory of them
            _remember(key, _digests[key])
    return _digests[key]


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


def parameters(weights: Iterable[Path]) -> Mapping[str, int]:
    """Number of parameters in safetensors files, by type; only their headers are read.

    Raises:
        ModelUnavailable: a file is torn, or no safetensors.
    """
    counts: Counter[str] = Counter()
    for path in weights:
        try:
            with path.open("rb") as stream:
                header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
            for name, tensor in header.items():
                if name != "__metadata__":
                    counts[tensor["dtype"]] += math.prod(tensor["shape"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
            raise ModelUnavailable(f"{path} cannot be read: {error}", hint="copy the model's folder again") from error
    return counts


def _snapshot(name: str, revision: str | None, offline: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    kept = _kept(name, revision)
    usable = kept if kept is not None and (revision or _has_weights(kept)) else None
    if usable is not None and (usable in _settled or _is_listed(name, usable)):
        return usable
    hint = f"copy the model's folder here and name its path; what needs no hub: {offline}"
    if not _hub_answers():
        if kept is not None:
            _settled.add(kept)
            return kept
        raise ModelUnavailable(f"{name!r} is not on this machine and the hub cannot be reached", hint=hint)
    fetch = partial(snapshot_download, name, allow_patterns=list(WANTED), etag_timeout=REACH_SECONDS)
    try:
        found = Path(fetch(revision=usable.name if usable is not None else revision))
        offered = None if revision or _has_weights(found) else _offered(name)
        return found if offered is None else Path(fetch(revision=offered))
    except Exception as error:  # the client's errors share no base class across its versions
        if usable is not None:
            # the list of files that the attempt left would make what is here pass for unfinished ever after
            (usable.parents[1] / "trees" / f"{usable.name}.json").unlink(missing_ok=True)
            _settled.add(usable)
            return usable
        if isinstance(error, GatedRepoError):
            what = f"{name!r} is gated: its owner grants access by name"
            raise ModelUnavailable(what, hint="accept its licence there, then `hf auth login`") from error
        if isinstance(error, RepositoryNotFoundError):
            raise ModelUnavailable(f"the hub has no model {name!r} that you may see", hint="check the name") from error
        raise ModelUnavailable(f"fetching {name!r} failed: {error}", hint=hint) from error


def _kept(name: str, revision: str | None) -> Path | None:
    """The snapshot that is on this machine, unless it is known to be unfinished."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        kept = Path(snapshot_download(name, revision=revision, allow_patterns=list(WANTED), local_files_only=True))
    except HFValidationError as error:
        hint = "give the hub's owner/name, or the path of a folder that is there"
        raise ModelUnavailable(f"{name!r} is neither a folder here nor a name on the hub", hint=hint) from error
    except LocalEntryNotFoundError:
        return None
    return kept if revision else _with_weights(kept)


def _is_listed(name: str, snapshot: Path) -> bool:
    """Whether it is known which files a snapshot should hold: not where other tools fetched some of them by name."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return bool(get_cached_repo_tree(name, revision=snapshot.name))
    except CachedRepoTreeNotFoundError:
        return False


def _has_weights(folder: Path) -> bool:
    return any(folder.rglob("*.safetensors"))


def _offered(name: str) -> str | None:
    """The revision in which the hub's converter offers a model's weights as safetensors, if it does."""
    from huggingface_hub import HfApi

    found = HfApi().get_repo_discussions(name, author=CONVERTER, discussion_type="pull_request")
    return next((one.git_reference for one in found if one.title == CONVERTED and one.status != "closed"), None)


def _with_weights(snapshot: Path) -> Path:
    """The snapshot, or where it has no weights, that of a pull request that an earlier call fetched for them."""
    if _has_weights(snapshot):
        return snapshot
    kept = snapshot.parents[1]
    for reference in sorted((kept / "refs" / "refs" / "pr").glob("*")):
        offered = kept / "snapshots" / reference.read_text().strip()
        if _has_weights(offered):
            return offered
    return snapshot


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
