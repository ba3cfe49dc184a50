"""From a folder that `run` wrote to a published result."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from uae_bench import result, runs
from uae_bench.errors import BadInput, NotPossible
from uae_bench.leaderboard.audit import audit
from uae_bench.leaderboard.shelf import (
    RECORDS,
    Entry,
    Measurements,
    checked_record,
    comparability,
    configuration,
    entries,
    read_measured,
)
from uae_bench.result import MANIFEST, MEASURED, RECORD, ResultRecord
from uae_bench.store import file_digest, write_atomically

AGAIN = "delete the folder and run the experiment again: what the store holds is not computed twice"


def add_results(folders: Sequence[Path], boards: Path) -> list[Path]:
    """Promote the whole results in `folders`, or below them, to `boards`; the records' new paths.

    Every folder is checked before anything is written. A result of the same configuration and seed is replaced.

    Raises:
        BadInput: no result there; a file is missing, torn or altered; means that are not those of the values; two
            results of one row; fewer measures than the published result that it would replace, or others than
            another seed of its row.
        NotPossible: a result is partial. StoreError: the boards' folder cannot be written.
    """
    found = list(dict.fromkeys(path for folder in folders for path in result_folders(folder)))
    checked = [(folder, whole_record(folder)) for folder in found]
    _require_one_each(checked)
    known = entries(boards) if any((boards / RECORDS).glob("*/*.json")) else []
    published = [entry.record for entry in known]
    for folder, record in checked:
        _require_no_loss(folder, record, published)
    _require_like_seeds(checked, published)
    return [_promote(folder, record, boards) for folder, record in checked]


def result_folders(folder: Path) -> list[Path]:
    """The folder itself where it holds a record, else all below it that do.

    Raises:
        BadInput: there is none.
    """
    found = [folder] if (folder / RECORD).is_file() else sorted(path.parent for path in folder.rglob(RECORD))
    if not found:
        raise BadInput(f"{folder} holds no result", hint="name a folder that run wrote, such as runs/lab")
    return found


def whole_record(folder: Path) -> ResultRecord:
    """The record of a folder whose files are all there, unaltered, and behind its means.

    Raises:
        BadInput, NotPossible: see `add_results`.
    """
    record = checked_record(folder / RECORD)
    if record.partial:
        raise NotPossible(
            f"{folder} is partial: it was run with --limit, on {record.queries} queries",
            hint="leave it out, or run it without --limit",
        )
    _check_files(folder, record)
    values, groups = (folder / part.file for part in (record.per_query, record.groups))
    audit(record, runs.read_values(values), result.read_groups(groups), str(folder))
    return record


def _check_files(folder: Path, record: ResultRecord) -> None:
    path = folder / MANIFEST
    try:
        manifest: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: the run did not finish ({error})", hint=AGAIN) from error
    expected = {RECORD, record.per_query.file, record.groups.file}
    if not isinstance(manifest, dict) or not expected <= manifest.keys():
        raise BadInput(f"{path} does not list {', '.join(sorted(expected))}", hint=AGAIN)
    for name, digest in manifest.items():
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise BadInput(f"{path} names {name!r}, outside its folder", hint=AGAIN)
        if not (folder / name).is_file():
            raise BadInput(f"{folder / name} is missing", hint=AGAIN)
        if file_digest(folder / name) != digest:
            raise BadInput(f"{folder / name} was altered after the run wrote it", hint=AGAIN)
    for part in (record.per_query, record.groups):
        if manifest[part.file] != part.digest:
            raise BadInput(f"{folder / part.file} is not the file that {RECORD} was made from", hint=AGAIN)


def _require_one_each(checked: Sequence[tuple[Path, ResultRecord]]) -> None:
    for place, (folder, record) in enumerate(checked):
        for other, earlier in checked[:place]:
            if _same_row(record, earlier):
                raise BadInput(
                    f"{other} and {folder} are results of one row: same system, settings and seed",
                    hint="add the one that you mean, by its own folder",
                )


def _require_no_loss(folder: Path, record: ResultRecord, published: Sequence[ResultRecord]) -> None:
    """Nothing where a result would take the place of one with more measures."""
    has = _measures(record)
    for other in published:
        lost = [measure.measure for measure in other.measures if measure.measure not in has]
        if lost and _same_row(record, other):
            raise BadInput(
                f"{folder} lacks {lost[0]}, which the board's result of the same row has",
                hint="run it again without --measure; what is stored is not computed twice",
            )


def _require_like_seeds(checked: Sequence[tuple[Path, ResultRecord]], published: Sequence[ResultRecord]) -> None:
    """Nothing where two seeds of one row would have other measures: a mean over seeds is over all of them."""
    added = [record for _, record in checked]
    kept = [other for other in published if not any(_same_row(other, record) for record in added)]
    for folder, record in checked:
        for other in (*added, *kept):
            apart = sorted(_measures(record) ^ _measures(other))
            if apart and _same_configuration(record, other):
                raise BadInput(
                    f"{folder} is seed {record.seed} of a row whose seed {other.seed} has other measures: "
                    f"{apart[0]} is in one only",
                    hint="run all seeds with the same measures and add them together; "
                    "what is stored is not computed twice",
                )


def _measures(record: ResultRecord) -> set[str]:
    return {measure.measure for measure in record.measures}


def _promote(folder: Path, record: ResultRecord, boards: Path) -> Path:
    entry = Entry(boards, record)
    measured = read_measured(folder / MEASURED)
    _remove_superseded(entry)
    write_atomically(boards / entry.values_file, (folder / record.per_query.file).read_bytes())
    write_atomically(boards / entry.groups_file, (folder / record.groups.file).read_bytes())
    write_atomically(boards / entry.measured_file, _published(measured))
    write_atomically(boards / entry.record_file, result.to_json(record))
    write_atomically(boards / entry.digest_file, entry.digest())
    return boards / entry.record_file


def _remove_superseded(entry: Entry) -> None:
    """Take away the earlier result of the same configuration and seed, which had other inputs or older code.

    Its record goes first: without one, what else a kill leaves behind is nobody's, and the check says so.
    """
    known = entries(entry.boards) if any((entry.boards / RECORDS).glob("*/*.json")) else []
    others = [other for other in known if other.record_file != entry.record_file]
    for other in others:
        if _same_row(other.record, entry.record):
            for name in (other.record_file, other.digest_file, other.values_file, other.measured_file):
                (entry.boards / name).unlink(missing_ok=True)
            if all(kept is other or kept.groups_file != other.groups_file for kept in others):
                (entry.boards / other.groups_file).unlink(missing_ok=True)


def _same_row(one: ResultRecord, other: ResultRecord) -> bool:
    return one.seed == other.seed and _same_configuration(one, other)


def _same_configuration(one: ResultRecord, other: ResultRecord) -> bool:
    return (
        one.task == other.task
        and comparability(one) == comparability(other)
        and configuration(one) == configuration(other)
    )


CUT = "…"
_ABSOLUTE = re.compile(r"""(^(?:-[A-Za-z])?|[=:>,"'])/(?!/)(?:[^/>"':]*(?<!,)/)*([^/>"':]*[^/>"',:])/?""")
"""A path from the root and its last part: a word alone, behind a short option, `--option=`, `key=` or `backend:`, a
step of a chain, a member of a fusion, or one of a list with commas."""


def _published(measured: Measurements) -> str:
    """Measurements as JSON, absolute paths of the command cut to their last part: they name somebody's disk."""
    words = (_ABSOLUTE.sub(rf"\1{CUT}/\2", word) for word in shlex.split(measured.command))
    shown = measured.model_copy(update={"command": " ".join(map(_quoted, words))})
    return json.dumps(shown.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _quoted(word: str) -> str:
    """A word as a shell reads it; what stands for a cut path needs no quotes."""
    plain = word.replace(CUT, "")
    return word if plain and shlex.quote(plain) == plain else shlex.quote(word)
