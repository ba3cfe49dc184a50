"""Reading files so that what is wrong with one is named by its place: file and line, or the path inside the JSON."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from uae_bench.errors import BadInput
from uae_bench.task.readers.raw import RawTask

_COMPARE = "compare the file with the layout that the card's reader documents"


def read_json(path: Path) -> Any:
    """The content of a JSON file (also gzipped).

    Raises:
        BadInput: naming line and column, or that the file ends early or nests too deeply.
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
    except RecursionError as error:
        raise BadInput(f"{path} nests its brackets too deeply to be data", hint=_COMPARE) from error


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
        except RecursionError:
            raw.problem(where, "the line nests its brackets too deeply to be data", "remove the line")
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


def unreadable(path: Path, error: OSError) -> BadInput:
    """The error for a file that the system does not give."""
    return BadInput(f"{path} cannot be read: {error.strerror}", hint="check the path and its permissions")


def _named(kind: type | tuple[type, ...]) -> str:
    return " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))


def _opened(path: Path) -> IO[str]:
    try:
        return gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")
    except OSError as error:
        raise unreadable(path, error) from error


def _text(path: Path) -> str:
    return "".join(_lines(path))


def _lines(path: Path) -> Iterator[str]:
    with _opened(path) as file:
        try:
            yield from file
        except UnicodeDecodeError as error:
            raise BadInput(f"{path} is not UTF-8 text: {error}", hint="convert it to UTF-8") from error
        except (EOFError, OSError, zlib.error) as error:
            raise BadInput(f"{path} is cut off or damaged: {error}", hint="get the whole file again") from error
