"""Files of a task: found in a folder, fetched from the Hub, read with errors that name the place."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from uae_bench.errors import BadInput
from uae_bench.task.card import FileCard, TaskCard
from uae_bench.task.readers.raw import RawTask, Reader

HUB_SECONDS = 5.0
_COMPARE = "compare the file with the layout that the card's reader documents"


def locate_files(card: TaskCard, reader: Reader, data: Path | None) -> dict[str, Path]:
    """Role -> file: from `data` (a file or folder), else from the card's own `data`, else from the Hub.

    Raises:
        BadInput: nothing there that the reader knows, the Hub cannot be reached, or a file differs from its sha256.
    """
    if not reader.needs_files:
        return {}
    chosen = data or (Path(card.data) if card.data else None)
    if chosen is None:
        return _fetch_all(card)
    found = find(chosen.expanduser(), reader)
    for role, path in found.items():
        expected = card.files.get(role)
        if expected and expected.repo is None:
            verify(path, expected.sha256)
    return found


def find(data: Path, reader: Reader) -> dict[str, Path]:
    """Files that `data` holds, by role: a file is the whole task, a folder is searched for the reader's patterns."""
    if data.is_file():
        return {"data": data}
    if not data.is_dir():
        raise BadInput(f"there is no file or folder {data}", hint="check the path given with --data or in the card")
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
        expected = "; ".join(f"{role}: {' or '.join(patterns)}" for role, patterns in reader.layout.items())
        raise BadInput(
            f"the folder {data} lacks {', '.join(missing) or 'every file that this reader knows'}",
            hint=f"expected file names: {expected}",
        )
    return found


def verify(path: Path, sha256: str | None) -> None:
    """Nothing where the file has the sha256, or where none is known; BadInput where it differs."""
    if sha256 is None:
        return
    computed = file_digest(path)
    if computed != sha256:
        raise BadInput(
            f"{path} has the sha256 {computed[:16]}…, the card says {sha256[:16]}…: the file is not the pinned one",
            hint="restore the file, or accept the new one with 'uae-bench task pin'",
        )


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def fetch(card: TaskCard, role: str, file: FileCard) -> Path:
    """A Hub file's local copy, downloaded where it is not cached yet and checked against its sha256.

    Raises:
        BadInput: the Hub does not answer within seconds or has no such file, or the file is not the pinned one.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    def download(*, cached: bool) -> Path:
        return Path(
            hf_hub_download(
                str(file.repo), str(file.path), repo_type="dataset", revision=file.revision,
                local_files_only=cached, etag_timeout=HUB_SECONDS,
            )
        )  # fmt: skip

    try:
        path = download(cached=True)
    except EntryNotFoundError:
        hub_commit(card, role, file)
        try:
            path = download(cached=False)
        except Exception as error:  # as in hub_commit
            raise _no_copy(card, role, file, error) from error
    verify(path, file.sha256)
    return path


def hub_commit(card: TaskCard, role: str, file: FileCard) -> str:
    """The commit that a Hub file's revision names now.

    One request without retries, before any download: the download itself would retry for half a minute.

    Raises:
        BadInput: the Hub does not answer within seconds, or knows no such repository or revision.
    """
    from huggingface_hub import HfApi

    try:
        commit = HfApi().dataset_info(str(file.repo), revision=file.revision, timeout=HUB_SECONDS).sha
    except Exception as error:  # the client's errors share no base class across its versions
        raise _no_copy(card, role, file, error) from error
    return str(commit)


def read_json(path: Path) -> Any:
    """The content of a JSON file (also gzipped).

    Raises:
        BadInput: naming line and column, or that the file ends early.
    """
    text = _text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        ends = error.pos >= len(text.rstrip()) or "Unterminated" in error.msg
        what = f"is cut off (it ends inside a value that begins at or before character {error.pos})"
        raise BadInput(
            f"{path}:{error.lineno}:{error.colno} {what if ends else f'is not valid JSON: {error.msg}'}",
            hint="get the whole file again" if ends else "mend that place",
        ) from error


def read_jsonl(path: Path, raw: RawTask) -> Iterator[tuple[str, dict[str, Any]]]:
    """(`file:line`, object) per line of a JSONL file (also gzipped), streamed; unusable lines become problems."""
    for number, line in enumerate(_lines(path), start=1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raw.problem(where, f"not valid JSON at column {error.colno}: {error.msg}", "mend or remove the line")
            continue
        if isinstance(entry, dict):
            yield where, entry
        else:
            raw.problem(where, "the line is not a JSON object", 'write {"id": ..., "text": ...}')


def read_parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(`file: row n`, row) of a Parquet file, streamed in batches.

    Raises:
        BadInput: not a Parquet file, or a damaged one.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        number = 0
        with ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    yield f"{path}: row {number}", row
                    number += 1
    except (ArrowException, OSError) as error:
        raise BadInput(f"{path} cannot be read as Parquet: {error}", hint="get the whole file again") from error


def member(entry: Any, name: str, kind: type | tuple[type, ...], where: str, default: Any = None) -> Any:
    """`entry[name]`, which has to be of that kind; where it is missing or null, the default if there is one.

    Raises:
        BadInput: naming the place and what it lacks.
    """
    found = entry.get(name) if isinstance(entry, dict) else None
    found = default if found is None else found
    if not isinstance(found, kind):
        raise BadInput(f"{where} has no '{name}' of type {_named(kind)}", hint=_COMPARE)
    return found


def members(entry: Any, name: str, kind: type | tuple[type, ...], where: str, default: Any = None) -> list[Any]:
    """The list `entry[name]`, every element of which has to be of that kind.

    Raises:
        BadInput: as `member`, or naming the first element that is of another kind.
    """
    found: list[Any] = member(entry, name, list, where, default)
    wrong = next((place for place, one in enumerate(found) if not isinstance(one, kind)), None)
    if wrong is not None:
        raise BadInput(f"{where}: {name}[{wrong}] is not of type {_named(kind)}", hint=_COMPARE)
    return found


def read_csv(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(`file: row n`, column -> cell) of a CSV file with a header (also gzipped), streamed; cells may hold newlines.

    Raises:
        BadInput: no header, or a row with more cells than the header.
    """
    csv.field_size_limit(2**31 - 1)
    rows = csv.DictReader(_lines(path))
    if not rows.fieldnames:
        raise BadInput(f"{path} has no header line", hint="name the columns in the first line")
    try:
        for number, row in enumerate(rows, start=1):
            if None in row:
                raise BadInput(f"{path}: row {number} has more cells than the header", hint="quote cells with commas")
            yield f"{path}: row {number}", row
    except csv.Error as error:
        raise BadInput(f"{path} is not valid CSV near line {rows.line_num}: {error}", hint="mend it") from error


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """(`file:line`, line without its end) of a text file (also gzipped), streamed."""
    for number, line in enumerate(_lines(path), start=1):
        yield f"{path}:{number}", line.rstrip("\r\n")


def _fetch_all(card: TaskCard) -> dict[str, Path]:
    remote = {role: file for role, file in card.files.items() if file.repo}
    if not remote:
        raise BadInput(f"task {card.name} needs its data on disk", hint=_obtain(card))
    return {role: fetch(card, role, file) for role, file in remote.items()}


def _obtain(card: TaskCard) -> str:
    return f"name a copy on disk with --data PATH{f'; {card.obtain}' if card.obtain else ''}"


def _no_copy(card: TaskCard, role: str, file: FileCard, error: Exception) -> BadInput:
    what = f"{file.repo}/{file.path} ({role}) is not on this machine and the Hub gives no copy: {_first_line(error)}"
    return BadInput(f"task {card.name}: {what}", hint=_obtain(card))


def _first_match(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Files of the first pattern that matches any, hidden ones aside."""
    for pattern in patterns:
        matches = sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("."))
        if matches:
            return matches
    return []


def _named(kind: type | tuple[type, ...]) -> str:
    return " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))


def _opened(path: Path) -> IO[str]:
    try:
        return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BadInput:
    return BadInput(f"{path} cannot be read: {error.strerror}", hint="check the path and its permissions")


def _text(path: Path) -> str:
    return "".join(_lines(path))


def _lines(path: Path) -> Iterator[str]:
    with _opened(path) as file:
        try:
            yield from file
        except UnicodeDecodeError as error:
            raise BadInput(f"{path} is not UTF-8 text: {error}", hint="convert it to UTF-8") from error
        except (EOFError, OSError) as error:
            raise BadInput(f"{path} is cut off or damaged: {error}", hint="get the whole file again") from error


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no answer'}"
