"""TREC runs: `query Q0 passage rank score tag`, one line per retrieved passage."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from uae_bench.errors import BadInput
from uae_bench.records import Ranking, Run
from uae_bench.store import write_atomically

_FIELDS = "query Q0 passage rank score tag"

_TEXTS = "`uae-bench task export` writes its passages and queries"


def write_trec(run: Run, path: Path) -> None:
    """Write a run with the integers depth − rank as scores: trec_eval's float32 would collapse small gaps to ties.

    The format separates by white space, so white space and `%` within an id are written as in a URL (`a%20b`). A query
    with an empty ranking has no line. Queries stand in order of id, rankings best first.

    Raises:
        BadInput: an empty id. StoreError: the file cannot be written.
    """
    tag = _escaped(run.system, "system name")
    lines = []
    for query, ranking in sorted(run.rankings.items()):
        name = _escaped(query, "query id")
        for rank, passage in enumerate(ranking.passages, start=1):
            lines.append(f"{name} Q0 {_escaped(passage, 'passage id')} {rank} {run.depth - rank} {tag}\n")
    write_atomically(path, "".join(lines))


def read_trec(
    path: Path,
    *,
    system: str,
    depth: int,
    queries: Collection[str],
    passages: Collection[str],
    pools: Mapping[str, Collection[str]] | None = None,
    ignored: Collection[str] = (),
) -> Run:
    """A run made elsewhere (plain or .gz), ordered by score and then passage id; rank, tag and line order don't count.

    `queries` are those that it must answer; lines of `ignored` ones (other splits) are passed over. An id counts as
    escaped only where it is unknown as it stands.

    Raises:
        BadInput: the file is unreadable or truncated; a line without six fields, with an unknown query or passage, one
            outside the query's pool, one seen before, or a score that is no finite number (the line is named); or a
            query without any line.
    """
    scores: dict[str, dict[str, float]] = {query: {} for query in sorted(queries)}
    elsewhere, known = set(ignored) - scores.keys(), set(passages)
    asked = scores.keys() | elsewhere
    first_seen: dict[tuple[str, str], int] = {}
    for number, line in _lines(path):
        fields = line.split()
        if not fields:
            continue
        where = f"{path}, line {number}"
        if len(fields) != 6:
            raise BadInput(f"{where} has {len(fields)} fields; a TREC run has six", hint=_FIELDS)
        query = _known(fields[0], asked, where, "query")
        if query in elsewhere:
            continue
        passage = _known(fields[2], known, where, "passage")
        if pools is not None and passage not in pools[query]:
            raise BadInput(
                f"{where}: {passage!r} is not in the pool of query {query!r}",
                hint="rank within pools, or take --pool corpus",
            )
        if (query, passage) in first_seen:
            raise BadInput(
                f"{where}: {passage!r} is ranked for {query!r} already in line {first_seen[query, passage]}",
                hint="keep one of the two lines",
            )
        first_seen[query, passage] = number
        scores[query][passage] = _score(fields[4], where)
    _check_all_answered(path, scores)
    return Run(system, depth, {query: Ranking.from_scores(found, depth) for query, found in scores.items()})


def _escaped(name: str, what: str) -> str:
    if not name:
        raise BadInput(f"a {what} is empty; a TREC run cannot hold it", hint="give it a name")
    return re.sub(r"[\s%\0]", lambda match: quote(match[0]), name)


def _known(name: str, known: Collection[str], where: str, what: str) -> str:
    for candidate in (name, unquote(name)):
        if candidate in known:
            return candidate
    raise BadInput(f"{where}: no {what} has the id {name!r}", hint=f"is it of this task, split and chunking? {_TEXTS}")


def _score(text: str, where: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise BadInput(f"{where}: the score {text!r} is no finite number", hint="write scores as decimal numbers")
    return score


def _check_all_answered(path: Path, scores: Mapping[str, Mapping[str, float]]) -> None:
    missing = [query for query, found in scores.items() if not found]
    if missing:
        raise BadInput(
            f"{path} answers {len(scores) - len(missing)} of {len(scores)} queries; {missing[0]!r} is missing",
            hint="give every query of the split at least one passage",
        )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a plain or gzipped text file."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
            yield from enumerate(stream, start=1)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the run {path}: {error}", hint="check the path; is the file whole?") from error
