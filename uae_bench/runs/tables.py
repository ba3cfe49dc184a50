"""Runs, values, utilities and generations on disk, with nothing lost: real scores, empty rankings, nan and its reason.

Every Parquet file names in its metadata what it is and which schema it has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from uae_bench.errors import BadInput
from uae_bench.records import (
    Asked,
    ContrastRow,
    EntailmentRow,
    GenerationRecord,
    Likelihood,
    Ranking,
    Run,
    SampleRow,
    UtilityRow,
    Value,
)
from uae_bench.store import Json, canonical_json, digest_of, write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

Made = TypeVar("Made")

_SCHEMA = 1
_AGAIN = "name the right file; a torn one has to be made again"
_METADATA = b"uae-bench"
_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "run": {"query": "string", "passages": "list<string>", "scores": "list<double>"},
    "values": {"query": "string", "measure": "string", "value": "double", "why": "string"},
    "utilities": {
        "query": "string",
        "passage": "string",
        "answer": "int32",
        "given_logprob": "double",
        "given_tokens": "int32",
        "closed_book_logprob": "double",
        "closed_book_tokens": "int32",
        "answer_bytes": "int32",
    },
    "samples": {
        "query": "string",
        "passage": "string?",
        "text": "string",
        "times": "int32",
        "logprob": "double",
        "tokens": "int32",
    },
    "entailments": {
        "query": "string",
        "text": "string",
        "answer": "int32",
        "entails": "double",
        "entailed": "double",
    },
    "contrasts": {
        "query": "string",
        "passage": "string",
        "answer": "int32",
        "logprob": "double",
        "tokens": "int32",
    },
}
"""Columns and their types; `?` marks one that may be null."""


def write_run(run: Run, path: Path) -> None:
    """Write a run as Parquet: a row per query, in order of id, with its passages best first and their real scores.

    Raises:
        StoreError: the file cannot be written.
    """
    rows = [
        {"query": query, "passages": ranking.passages, "scores": ranking.scores}
        for query, ranking in sorted(run.rankings.items())
    ]
    _write(path, "run", rows, {"system": run.system, "depth": run.depth})


def read_run(path: Path) -> Run:
    """The run that `write_run` wrote.

    Raises:
        BadInput: the file is missing, truncated, or no run.
    """
    rows, facts = _read(path, "run")
    rankings = {row["query"]: Ranking(tuple(row["passages"]), tuple(row["scores"])) for row in rows}
    return Run(facts["system"], facts["depth"], rankings)


def write_values(values: Iterable[Value], path: Path) -> None:
    """Write per-query values as Parquet, in order of query and measure; nan stays nan and keeps its reason.

    Raises:
        BadInput: two values of one query and measure. StoreError: the file cannot be written.
    """
    _write(path, "values", [asdict(value) for value in _in_order(values)], {})


def read_values(path: Path) -> list[Value]:
    """The values that `write_values` wrote, in order of query and measure.

    Raises:
        BadInput: the file is missing, truncated, or holds no values.
    """
    return [Value(**row) for row in _read(path, "values")[0]]


def values_digest(values: Iterable[Value]) -> str:
    """A digest of values that depends on no file format: sha256 of canonical JSON rows, nan as null.

    Raises:
        BadInput: two values of one query and measure.
    """
    return digest_of(
        [
            [value.query, value.measure, None if math.isnan(value.value) else value.value, value.why]
            for value in _in_order(values)
        ]
    )


def write_utilities(rows: Iterable[UtilityRow], path: Path) -> None:
    """Write raw likelihoods as Parquet, in order of query, passage and answer.

    Raises:
        StoreError: the file cannot be written.
    """
    ordered = sorted(rows, key=lambda row: (row.query, row.passage, row.answer))
    _write(path, "utilities", [_flat(row) for row in ordered], {})


def read_utilities(path: Path) -> list[UtilityRow]:
    """The rows that `write_utilities` wrote, in order of query, passage and answer.

    Raises:
        BadInput: the file is missing, truncated, or holds no utilities.
    """
    return [
        UtilityRow(
            query=row["query"],
            passage=row["passage"],
            answer=row["answer"],
            given=Likelihood(row["given_logprob"], row["given_tokens"]),
            closed_book=Likelihood(row["closed_book_logprob"], row["closed_book_tokens"]),
            answer_bytes=row["answer_bytes"],
        )
        for row in _read(path, "utilities")[0]
    ]


def write_samples(rows: Iterable[SampleRow], path: Path) -> None:
    """Write sampled answers as Parquet, in order of query, passage (none first) and text.

    Raises:
        StoreError: the file cannot be written.
    """
    ordered = sorted(rows, key=lambda row: (row.query, row.passage is not None, row.passage or "", row.text))
    _write(path, "samples", [asdict(row) for row in ordered], {})


def read_samples(path: Path) -> list[SampleRow]:
    """The rows that `write_samples` wrote, in order of query, passage and text.

    Raises:
        BadInput: the file is missing, truncated, or holds no samples.
    """
    return [SampleRow(**row) for row in _read(path, "samples")[0]]


def write_entailments(rows: Iterable[EntailmentRow], path: Path) -> None:
    """Write judgements of entailment as Parquet, in order of query, text and answer.

    Raises:
        StoreError: the file cannot be written.
    """
    ordered = sorted(rows, key=lambda row: (row.query, row.text, row.answer))
    _write(path, "entailments", [asdict(row) for row in ordered], {})


def read_entailments(path: Path) -> list[EntailmentRow]:
    """The rows that `write_entailments` wrote, in order of query, text and answer.

    Raises:
        BadInput: the file is missing, truncated, or holds no entailments.
    """
    return [EntailmentRow(**row) for row in _read(path, "entailments")[0]]


def write_contrasts(rows: Iterable[ContrastRow], path: Path) -> None:
    """Write contrastive likelihoods as Parquet, in order of query, passage and answer.

    Raises:
        StoreError: the file cannot be written.
    """
    ordered = sorted(rows, key=lambda row: (row.query, row.passage, row.answer))
    flat: list[dict[str, Json]] = [
        {"query": row.query, "passage": row.passage, "answer": row.answer, **asdict(row.likelihood)} for row in ordered
    ]
    _write(path, "contrasts", flat, {})


def read_contrasts(path: Path) -> list[ContrastRow]:
    """The rows that `write_contrasts` wrote, in order of query, passage and answer.

    Raises:
        BadInput: the file is missing, truncated, or holds no contrasts.
    """
    return [
        ContrastRow(row["query"], row["passage"], row["answer"], Likelihood(row["logprob"], row["tokens"]))
        for row in _read(path, "contrasts")[0]
    ]


def write_generations(generations: Iterable[GenerationRecord], path: Path) -> None:
    """Write generations as JSONL, one per query, in order of query id.

    Raises:
        StoreError: the file cannot be written.
    """
    ordered = sorted(generations, key=attrgetter("query"))
    write_atomically(path, "".join(canonical_json(asdict(generation)) + "\n" for generation in ordered))


def read_generations(path: Path) -> dict[str, GenerationRecord]:
    """The generations that `write_generations` wrote, by query id.

    Raises:
        BadInput: the file is missing or truncated, or a line is no generation or repeats a query (the line is named).
    """
    found: dict[str, GenerationRecord] = {}
    for where, generation in _lines(path, "generation", _generation):
        if generation.query in found:
            raise BadInput(f"{where} repeats the query {generation.query!r}", hint=_AGAIN)
        found[generation.query] = generation
    return found


def write_asked(asked: Iterable[Asked], path: Path) -> None:
    """Write what rerankers asked language models as JSONL, in order of step and query.

    Raises:
        StoreError: the file cannot be written.
    """
    ordered = sorted(asked, key=attrgetter("step", "query"))
    write_atomically(path, "".join(canonical_json(asdict(one)) + "\n" for one in ordered))


def read_asked(path: Path) -> list[Asked]:
    """What `write_asked` wrote.

    Raises:
        BadInput: the file is missing or truncated, or a line is something else (the line is named).
    """
    return [asked for _, asked in _lines(path, "account of a query", lambda row: Asked(**row))]


def _lines(path: Path, what: str, made: Callable[[dict[str, Any]], Made]) -> Iterator[tuple[str, Made]]:
    """What each line of a JSONL file is made to, and where it stood."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    if lines.pop():
        raise BadInput(f"{path} breaks off in line {len(lines) + 1}", hint=_AGAIN)
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        try:
            yield where, made(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise BadInput(f"{where} is no {what}: {error}", hint=_AGAIN) from error


def _generation(row: dict[str, Any]) -> GenerationRecord:
    return GenerationRecord(**{**row, "context": tuple(row["context"])})


def _in_order(values: Iterable[Value]) -> list[Value]:
    ordered = sorted(values, key=lambda value: (value.query, value.measure))
    for one, other in pairwise(ordered):
        if (one.query, one.measure) == (other.query, other.measure):
            raise BadInput(f"{one.measure} of query {one.query!r} has two values", hint="measure it once")
    return ordered


def _flat(row: UtilityRow) -> dict[str, Json]:
    return {
        "query": row.query,
        "passage": row.passage,
        "answer": row.answer,
        "given_logprob": row.given.logprob,
        "given_tokens": row.given.tokens,
        "closed_book_logprob": row.closed_book.logprob,
        "closed_book_tokens": row.closed_book.tokens,
        "answer_bytes": row.answer_bytes,
    }


def _schema(kind: str) -> pa.Schema:
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "double": pa.float64(),
        "int32": pa.int32(),
        "list<string>": pa.list_(pa.string()),
        "list<double>": pa.list_(pa.float64()),
    }
    fields = _COLUMNS[kind].items()
    return pa.schema([pa.field(name, types[of.rstrip("?")], nullable=of.endswith("?")) for name, of in fields])


def _write(path: Path, kind: str, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Json]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = canonical_json({"kind": kind, "schema": _SCHEMA, **facts}).encode()
    table = pa.Table.from_pylist(list(rows), schema=_schema(kind).with_metadata({_METADATA: about}))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_atomically(path, sink.getvalue().to_pybytes())


def _read(path: Path, kind: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    facts: dict[str, Any] = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
    found = f"{facts.pop('kind', 'foreign')}, schema {facts.pop('schema', 'none')}"
    if found != f"{kind}, schema {_SCHEMA}" or table.schema.names != list(_COLUMNS[kind]):
        raise BadInput(f"{path} holds {found}, not {kind}, schema {_SCHEMA}", hint=_AGAIN)
    return table.to_pylist(), facts


def _unreadable(path: Path, error: Exception) -> BadInput:
    return BadInput(f"cannot read {path}: {error}", hint=_AGAIN)
