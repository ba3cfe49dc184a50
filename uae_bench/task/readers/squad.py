"""SQuAD layout: `data[] -> paragraphs[] -> context, qas[] -> answers[] -> text, answer_start` (SQuAD 1.1 and 2.0).

Contexts are cut into passages of 100 whitespace words without overlap; evidence is every passage that an answer span
touches. Offsets that do not point at their answer are repaired by exact search nearest to them. A document is what
`document_id` of a paragraph names, else the article (`title`), else the article's position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from uae_bench.errors import BadInput
from uae_bench.records import UNANSWERABLE, Annotation, Answer, Passage, Query
from uae_bench.task.readers.cutting import CutText, cut, locate
from uae_bench.task.readers.raw import RawTask, Reader
from uae_bench.task.reading import member, members, read_json


class CutOptions(BaseModel):
    """words: length of a passage in whitespace-separated words."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    words: int = Field(default=100, ge=1)


@dataclass(frozen=True, slots=True)
class Context:
    """A cut text with its place in the task: passage i of it is called `names[i]`."""

    cut: CutText
    names: tuple[str, ...]
    document_id: str

    def evidence(self, start: int, end: int) -> tuple[str, ...]:
        """Ids of the passages that the span [start, end) touches."""
        return tuple(self.names[index] for index in self.cut.touched((start, end)))


def add_context(raw: RawTask, text: str, words: int, document_id: str, title: str, where: str, first: int) -> Context:
    """Cut a text and keep its passages as `document_id#first`, `document_id#first+1`, ..."""
    pieces = cut(text, words)
    names = tuple(f"{document_id}#{first + index}" for index in range(len(pieces.spans)))
    for name, piece in zip(names, pieces.passages(), strict=True):
        raw.add_passage(Passage(name, piece, title, document_id), where)
    if not names:
        raw.problem(where, "the context is empty", "give it text or remove it")
    return Context(pieces, names, document_id)


def annotate(raw: RawTask, context: Context, text: str, offset: int) -> Annotation:
    """An extractive answer with its evidence; a wrong offset is repaired, one that cannot be leaves no evidence."""
    answer, offset = Answer(text.strip(), "extractive"), offset + len(text) - len(text.lstrip())
    start = locate(context.cut.text, answer.text, offset)
    if start is None:
        raw.count("unrepairable-offsets")
        return Annotation(answer, ())
    if start != offset:
        raw.count("repaired-offsets")
    evidence = context.evidence(start, start + len(answer.text))
    if len(evidence) > 1:
        raw.count("border-answers")
    return Annotation(answer, evidence)


def note_offsets(raw: RawTask) -> None:
    """Put into words what `annotate` counted."""
    raw.note("repaired-offsets", "answer offsets that missed their text, moved to its nearest exact occurrence")
    raw.note("unrepairable-offsets", "answers that do not stand in their context; kept as references, no evidence")
    raw.note("border-answers", "answers that cross a border between passages; every passage touched is evidence")


def read(files: Mapping[str, Path], options: CutOptions) -> RawTask:
    """One file (`data`) without splits of its own, or one file per split (`train`, `dev`, `test`)."""
    raw = RawTask()
    places: dict[str, int] = {}
    for role, path in files.items():
        split = None if role == "data" else role
        for where, article, paragraph, title in _paragraphs(path):
            document_id = _document_id(paragraph, title, f"{path.stem}-{article}")
            text = member(paragraph, "context", str, where)
            context = add_context(
                raw, text, options.words, document_id, title.replace("_", " "), where, places.get(document_id, 0)
            )
            places[document_id] = places.get(document_id, 0) + len(context.names)
            for number, entry in enumerate(member(paragraph, "qas", list, where)):
                _add_question(raw, context, entry, f"{where}.qas[{number}]", split)
    note_offsets(raw)
    return raw


READER = Reader(
    read=read,
    layout={"train": ("*train*.json",), "dev": ("*dev*.json", "*valid*.json"), "test": ("*test*.json",)},
    options=CutOptions,
)


def _paragraphs(path: Path) -> Iterator[tuple[str, int, dict[str, Any], str]]:
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise BadInput(
            f"{path} is not in SQuAD layout: no list under 'data'", hint='expected {"data": [{"paragraphs": ...}]}'
        )
    for article, entry in enumerate(content["data"]):
        place = f"{path}: data[{article}]"
        title = member(entry, "title", str, place, "")
        for number, paragraph in enumerate(members(entry, "paragraphs", dict, place)):
            yield f"{place}.paragraphs[{number}]", article, paragraph, title


def _document_id(paragraph: dict[str, Any], title: str, fallback: str) -> str:
    named = member(paragraph, "document_id", (str, int), fallback, title or fallback)
    return "_".join(str(named).split())


def _add_question(raw: RawTask, context: Context, entry: dict[str, Any], where: str, split: str | None) -> None:
    text = member(entry, "question", str, where)
    answers = members(entry, "answers", dict, where, [])
    impossible = bool(entry.get("is_impossible"))
    if not answers and not impossible:
        raw.problem(where, f"the question {text[:60]!r} has no answers", "add an answer, or mark it is_impossible")
        return
    query = Query(str(member(entry, "id", (str, int), where)), text.strip(), context.document_id)
    if not raw.add_query(query, where, split):
        return
    raw.annotations[query.id] = (
        (Annotation(Answer(UNANSWERABLE, "unanswerable"), ()),)
        if impossible
        else tuple(_answer(raw, context, answer, f"{where}.answers[{n}]") for n, answer in enumerate(answers))
    )


def _answer(raw: RawTask, context: Context, entry: dict[str, Any], where: str) -> Annotation:
    text = member(entry, "text", str, where)
    if not text.strip():
        raw.problem(where, "the answer is empty", "give it text or remove it")
    return annotate(raw, context, text, int(member(entry, "answer_start", int, where)))
