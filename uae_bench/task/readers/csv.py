"""CSV: a question per row, with its answer and the text that holds it; the card's options name the columns.

Texts are cut into passages of 100 whitespace words without overlap, equal texts once. Evidence is every passage that
the first exact occurrence of the answer touches; an answer that does not stand in its text is a free-form reference
without evidence, and counted. The answer `Unanswerable` says that there is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from uae_bench.errors import BadInput
from uae_bench.records import Annotation, Query, plain_answer
from uae_bench.registry import nearest
from uae_bench.task.readers.raw import RawTask, Reader
from uae_bench.task.readers.squad import Context, CutOptions, add_context, annotate, note_offsets
from uae_bench.task.reading import read_csv


class CsvOptions(CutOptions):
    """Names of the columns; `id` and `document` may be absent: ids are then row numbers, a text is its own document."""

    question: str = "question"
    answer: str = "answer"
    context: str = "context"
    id: str | None = None
    document: str | None = None
    words: int = Field(default=100, ge=1)


def read(files: Mapping[str, Path], options: CsvOptions) -> RawTask:
    """One file (`data`)."""
    raw = RawTask()
    contexts: dict[tuple[str, str], Context] = {}
    places: dict[str, int] = {}
    for number, (where, row) in enumerate(read_csv(files["data"]), start=1):
        text = _cell(row, options.context, where)
        named = (
            _cell(row, options.document, where) if options.document else hashlib.sha256(text.encode()).hexdigest()[:16]
        )
        document = "_".join(named.split())
        if (document, text) not in contexts:
            first = places.get(document, 0)
            contexts[document, text] = add_context(raw, text, options.words, document, "", where, first)
            places[document] = first + len(contexts[document, text].names)
        identity = _cell(row, options.id, where) if options.id else f"row{number}"
        _add_row(raw, contexts[document, text], identity, row, options, where)
    note_offsets(raw)
    raw.note("free-form-answers", "answers that do not stand in their text: free-form references without evidence")
    return raw


READER = Reader(read=read, layout={"data": ("*.csv", "*.csv.gz")}, options=CsvOptions)


def _add_row(
    raw: RawTask, context: Context, identity: str, row: Mapping[str, str], options: CsvOptions, where: str
) -> None:
    text = _cell(row, options.answer, where).strip()
    if not text:
        raw.problem(where, "the question has no answer", "add one or remove the row")
    if not raw.add_query(Query(identity, _cell(row, options.question, where).strip(), context.document_id), where):
        return
    start = context.cut.text.find(text)
    found = Annotation(plain_answer(text), ()) if start < 0 else annotate(raw, context, text, start)
    if found.answer.kind == "free-form":
        raw.count("free-form-answers")
    raw.annotations[identity] = (found,)


def _cell(row: Mapping[str, str | None], column: str, where: str) -> str:
    if column not in row:
        raise BadInput(
            f"{where}: there is no column {column!r}",
            hint=f"{nearest(column, row)} Name the columns in the card's [options]: question, answer, context",
        )
    return row[column] or ""
