"""Whether what is published still follows from what lies behind it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from uae_bench.errors import BadInput, CheckFailed
from uae_bench.leaderboard.audit import audit
from uae_bench.leaderboard.pages import pages
from uae_bench.leaderboard.shelf import MEASUREMENTS, PER_QUERY, RECORDS, Entry, entries
from uae_bench.result import to_json
from uae_bench.store import file_digest

README = "README.md"
_AGAIN = "add the result again from its folder, then uae-bench leaderboard render"
_WHOLE = "run it without --limit, and add that result in its place"


def check_boards(boards: Path) -> int:
    """Recompute every mean from its per-query values, compare every digest, render every page anew; the number of
    records.

    Raises:
        BadInput: there are no records. CheckFailed: the first thing that differs, is missing, torn, or nobody's.
    """
    published = _read(boards)
    try:
        for entry in published:
            _check_entry(entry)
        _check_files(boards, published)
        _check_pages(boards, pages(published))
    except BadInput as error:
        raise CheckFailed(str(error), hint=error.hint) from error
    return len(published)


def _read(boards: Path) -> list[Entry]:
    if not boards.is_dir():
        raise BadInput(f"{boards} is no folder", hint="name the leaderboards' folder: --boards leaderboards")
    try:
        return entries(boards)
    except BadInput as error:
        raise CheckFailed(str(error), hint=error.hint) from error


def _check_entry(entry: Entry) -> None:
    boards, record = entry.boards, entry.record
    if record.partial:
        raise CheckFailed(f"{boards / entry.record_file} is partial: it is of {record.queries} queries", hint=_WHOLE)
    for name, digest in ((entry.values_file, record.per_query.digest), (entry.groups_file, record.groups.digest)):
        if not (boards / name).is_file():
            raise CheckFailed(f"{boards / name} is missing", hint=_AGAIN)
        if file_digest(boards / name) != digest:
            raise CheckFailed(f"{boards / name} is not the file that {entry.record_file} names", hint=_AGAIN)
    if (boards / entry.record_file).read_text(encoding="utf-8") != to_json(record):
        raise CheckFailed(f"{boards / entry.record_file} is not in canonical form: edited by hand?", hint=_AGAIN)
    entry.measured()
    audit(record, entry.values(), entry.groups(), entry.record_file)
    path = boards / entry.digest_file
    if not path.is_file():
        raise CheckFailed(f"{path} is missing", hint=_AGAIN)
    if path.read_bytes() != entry.digest().encode():
        raise CheckFailed(f"{boards / entry.record_file} is not what {path.name} says: edited by hand?", hint=_AGAIN)


def _check_files(boards: Path, published: Sequence[Entry]) -> None:
    """No file without a record."""
    known = {
        name
        for entry in published
        for name in (entry.record_file, entry.digest_file, entry.values_file, entry.groups_file, entry.measured_file)
    }
    for folder in (RECORDS, PER_QUERY, MEASUREMENTS):
        for path in sorted((boards / folder).rglob("*")):
            if path.is_file() and path.relative_to(boards).as_posix() not in known:
                raise CheckFailed(f"{path} belongs to no record", hint="delete it")


def _check_pages(boards: Path, expected: dict[str, str]) -> None:
    for path in sorted(boards.glob("*.md")):
        if path.name not in expected and path.name != README:
            raise CheckFailed(f"{path} is the page of no record", hint="delete it")
    for name, text in expected.items():
        try:
            found = (boards / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckFailed(f"cannot read {boards / name}: {error}", hint="uae-bench leaderboard render") from error
        pairs = zip_longest(found.split("\n"), text.split("\n"))
        for number, (old, new) in enumerate(pairs, start=1):
            if old != new:
                raise CheckFailed(
                    f"{boards / name}, line {number}, differs from its records: {_shown(old)}, now {_shown(new)}",
                    hint="uae-bench leaderboard render",
                )


def _shown(line: str | None) -> str:
    return "nothing" if line is None else repr(line[:80])
