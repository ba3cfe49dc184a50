"""Files of a task: found in a folder or fetched from the Hub, and checked against their sha256."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from uae_bench import store
from uae_bench.errors import BadInput, DataUnavailable, UsageError
from uae_bench.task.card import FileCard, TaskCard
from uae_bench.task.readers.raw import Reader
from uae_bench.task.reading import unreadable

HUB_SECONDS = 5.0


def locate_files(card: TaskCard, reader: Reader, data: Path | None) -> dict[str, Path]:
    """Role -> file: from `data` (a file or folder), else from the card's own `data`, else from the Hub.

    Raises:
        BadInput: nothing there that the reader knows, or a file differs from its sha256.
        DataUnavailable: nothing is on disk and the Hub gives nothing.
        UsageError: `data` is given, and the task is generated.
    """
    if not reader.needs_files:
        if data is not None:
            what = f"the files {data} change nothing: task {card.name} is generated and reads none"
            raise UsageError(what, hint="leave --data (--train-data) out")
        return {}
    chosen = data or (Path(card.data) if card.data else None)
    if chosen is None:
        return _fetch_all(card)
    found = find(chosen.expanduser(), reader)
    for role, path in found.items():
        expected = card.files.get(role)
        if expected and expected.repo is None:
            verify(card, path, expected.sha256)
    return found


def find(data: Path, reader: Reader) -> dict[str, Path]:
    """Files that `data` holds, by role: a file is the whole task, a folder is searched for the reader's patterns."""
    expected = "; ".join(f"{role}: {' or '.join(patterns)}" for role, patterns in reader.layout.items())
    if data.is_file():
        if "data" not in (reader.needs or ("data",)):
            needs = ", ".join(reader.needs)
            raise BadInput(f"{data} is one file: this reader needs a folder with {needs}", hint=f"names: {expected}")
        return {"data": data}
    if not data.is_dir():
        hint = "check the path given with --data (--train-data) or in the card"
        raise BadInput(f"there is no file or folder {data}", hint=hint)
    found: dict[str, Path] = {}
    for role, patterns in reader.layout.items():
        matches = _first_match(data, patterns)
        if role.endswith("/*"):
            found |= {f"{role[:-1]}{path.name.split('.')[0]}": path for path in matches}
        elif len(matches) > 1:
            names = ", ".join(path.name for path in matches)
            raise BadInput(f"{data} holds several files for '{role}': {names}", hint="keep one, or name one file")
        elif matches:
            found[role] = matches[0]
    if "data" in found:
        return {"data": found["data"]}
    if len(found) == 1 and found.keys() <= {"train", "dev"}:
        return {"data": next(iter(found.values()))}  # nothing to test on: the one file is split by document
    missing = [role for role in reader.needs if not any(role in (name, name.split("/")[0]) for name in found)]
    if missing or not found:
        raise BadInput(
            f"the folder {data} lacks {', '.join(missing) or 'every file that this reader knows'}",
            hint=f"expected file names: {expected}",
        )
    return found


def verify(card: TaskCard, path: Path, sha256: str | None) -> None:
    """Nothing where the file has the sha256, or where none is known; BadInput where it differs."""
    if sha256 is None:
        return
    computed = file_digest(path)
    if computed != sha256:
        raise BadInput(
            f"{path} has the sha256 {computed[:16]}…, the card says {sha256[:16]}…: the file is not the pinned one",
            hint=f"restore the file, or accept the new one with 'uae-bench task pin {card.name}' (or the card's path)",
        )


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return store.file_digest(path)
    except OSError as error:
        raise unreadable(path, error) from error


def fetch(card: TaskCard, role: str, file: FileCard) -> Path:
    """A Hub file's local copy, downloaded by `datasets` where it is not kept yet, and checked against its sha256.

    Raises:
        DataUnavailable: the Hub does not answer within seconds, or has no such file.
        BadInput: the file is not the pinned one.
    """
    path = _kept(file)
    if path is None:
        hub_commit(card, role, file)
        path = _download(card, role, file)
    verify(card, path, file.sha256)
    return path


def hub_commit(card: TaskCard, role: str, file: FileCard) -> str:
    """The commit that a Hub file's revision names now.

    One request before any download: `datasets` takes seconds to import and then waits twice as long for an answer.

    Raises:
        DataUnavailable: the Hub does not answer within seconds, or knows no such repository or revision.
    """
    from huggingface_hub import HfApi

    try:
        commit = HfApi().dataset_info(str(file.repo), revision=file.revision, timeout=HUB_SECONDS).sha
    except Exception as error:  # the client's errors share no base class across its versions
        raise _no_copy(card, role, file, error) from error
    return str(commit)


def _fetch_all(card: TaskCard) -> dict[str, Path]:
    remote = {role: file for role, file in card.files.items() if file.repo}
    if not remote:
        raise DataUnavailable(f"task {card.name} needs its data on disk", hint=_obtain(card))
    return {role: fetch(card, role, file) for role, file in remote.items()}


def _kept(file: FileCard) -> Path | None:
    """The copy that an earlier download left in the Hub's cache; looks at the disk alone."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(str(file.repo), str(file.path), revision=file.revision, repo_type="dataset")
    return Path(found) if isinstance(found, str) else None


def _download(card: TaskCard, role: str, file: FileCard) -> Path:
    from datasets import DownloadConfig, DownloadManager

    url = f"hf://datasets/{file.repo}@{quote(file.revision, safe='')}/{file.path}"
    try:
        return Path(DownloadManager(download_config=DownloadConfig(max_retries=1)).download(url))
    except Exception as error:  # as in hub_commit
        raise _no_copy(card, role, file, error) from error


def _obtain(card: TaskCard) -> str:
    return f"name a copy on disk with --data PATH{f'; {card.obtain}' if card.obtain else ''}"


def _no_copy(card: TaskCard, role: str, file: FileCard, error: Exception) -> DataUnavailable:
    what = f"{file.repo}/{file.path} ({role}) is not on this machine and the Hub gives no copy: {_first_line(error)}"
    return DataUnavailable(f"task {card.name}: {what}", hint=_obtain(card))


def _first_match(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Files of the first pattern that matches any, hidden ones aside."""
    for pattern in patterns:
        matches = sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("."))
        if matches:
            return matches
    return []


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no answer'}"
