"""QASPER (Dasigi et al. 2021): the official release's JSON and the Hub's columnar rows (JSONL or Parquet).

A passage is a paragraph of `full_text`, its title the section's name, its id `paper#index` with the index counted over
all paragraphs, empty ones too, which are then dropped. Evidence is matched to paragraphs as an exact string; one that
equals a repeated paragraph marks every copy. Each annotator's answer stays an annotation of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uae_bench.errors import BadInput
from uae_bench.records import UNANSWERABLE, Annotation, Answer, Passage, Query
from uae_bench.task.readers.raw import NoOptions, RawTask, Reader
from uae_bench.task.reading import member, members, read_json, read_jsonl, read_parquet

FLOAT_PREFIX = "FLOAT SELECTED"


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a paper as both layouts tell it."""

    id: str
    text: str
    answers: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Paper:
    """One paper as both layouts tell it: (section name, paragraphs) in order, and its questions."""

    where: str
    id: str
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    questions: tuple[Question, ...]


def read(files: Mapping[str, Path], options: NoOptions) -> RawTask:
    """One file (`data`) without splits of its own, or one file per split (`train`, `dev`, `test`)."""
    raw = RawTask()
    for role, path in files.items():
        for paper in _papers(path, raw):
            paragraphs = _add_paragraphs(raw, paper)
            for question in paper.questions:
                _add_question(raw, paper, question, paragraphs, None if role == "data" else role)
    raw.note("empty-paragraphs", "paragraphs without text, dropped; the ids of the others keep their index")
    raw.note("repeated-paragraphs", "copies of an earlier paragraph of the paper; evidence marks every copy")
    raw.note("float-evidence", "evidence strings that select a figure or table, which are no passages")
    raw.note("unmatched-evidence", "evidence strings that equal no paragraph of their paper")
    return raw


def reference(answer: Mapping[str, Any]) -> Answer | None:
    """The reference of one annotation by the official evaluator's order; None where it holds no answer at all.

    Unanswerable, then extractive spans joined by ", ", then the free form, then Yes or No.
    """
    if answer.get("unanswerable"):
        return Answer(UNANSWERABLE, "unanswerable")
    if answer.get("extractive_spans"):
        return Answer(", ".join(answer["extractive_spans"]), "extractive")
    if answer.get("free_form_answer"):
        return Answer(str(answer["free_form_answer"]), "free-form")
    if answer.get("yes_no") is not None:
        return Answer("Yes" if answer["yes_no"] else "No", "yes-no")
    return None


_PATTERNS = ("json", "jsonl", "jsonl.gz", "parquet")
READER = Reader(
    read=read,
    layout={
        "train": tuple(f"*train*.{ending}" for ending in _PATTERNS),
        "dev": tuple(f"*{name}*.{ending}" for name in ("dev", "valid") for ending in _PATTERNS),
        "test": tuple(f"*test*.{ending}" for ending in _PATTERNS),
    },
)


def _papers(path: Path, raw: RawTask) -> Iterator[Paper]:
    if path.suffix == ".parquet":
        yield from (_columnar(where, row) for where, row in read_parquet(path))
    elif ".jsonl" in path.suffixes:
        yield from (_columnar(where, row) for where, row in read_jsonl(path, raw))
    else:
        content = read_json(path)
        for identity in content if isinstance(content, dict) else ():
            yield _official(f"{path}: {identity}", identity, content[identity])
        if not isinstance(content, dict):
            raw.problem(str(path), "the file is not one JSON object", "expected paper id -> title, full_text, qas")


def _official(where: str, identity: str, paper: dict[str, Any]) -> Paper:
    sections = [
        (member(section, "section_name", str, where, ""), tuple(members(section, "paragraphs", str, where)))
        for section in members(paper, "full_text", dict, where)
    ]
    questions = [
        _question(where, entry, [member(one, "answer", dict, where) for one in members(entry, "answers", dict, where)])
        for entry in members(paper, "qas", dict, where)
    ]
    return Paper(where, identity, tuple(sections), tuple(questions))


def _columnar(where: str, row: dict[str, Any]) -> Paper:
    text, asked = member(row, "full_text", dict, where), member(row, "qas", dict, where)
    columns: dict[str, type | tuple[type, ...]] = {"section_name": (str, type(None)), "paragraphs": list}
    sections = [
        (name or "", tuple(members({"paragraphs": paragraphs}, "paragraphs", str, where)))
        for name, paragraphs in _rows(text, columns, where)
    ]
    questions = [
        _question(where, {"question_id": key, "question": question}, members(answers, "answer", dict, where))
        for key, question, answers in _rows(asked, {"question_id": str, "question": str, "answers": dict}, where)
    ]
    return Paper(where, member(row, "id", str, where), tuple(sections), tuple(questions))


def _rows(
    table: dict[str, Any], columns: Mapping[str, type | tuple[type, ...]], where: str
) -> Iterator[tuple[Any, ...]]:
    """The rows of a table that is stored by columns."""
    cells = [members(table, name, kind, where) for name, kind in columns.items()]
    if len({len(column) for column in cells}) > 1:
        raise BadInput(f"{where}: the columns {', '.join(columns)} differ in length", hint="get the whole file again")
    return zip(*cells, strict=True)


def _question(where: str, entry: dict[str, Any], answers: Sequence[dict[str, Any]]) -> Question:
    return Question(member(entry, "question_id", str, where), member(entry, "question", str, where), tuple(answers))


def _add_paragraphs(raw: RawTask, paper: Paper) -> dict[str, list[str]]:
    """Keep a paper's paragraphs; returned: text -> ids of all its copies."""
    copies: dict[str, list[str]] = {}
    index = 0
    for title, paragraphs in paper.sections:
        for text in paragraphs:
            name, index = f"{paper.id}#{index}", index + 1
            if not text.strip():
                raw.count("empty-paragraphs")
                continue
            raw.count("repeated-paragraphs", int(text in copies))
            copies.setdefault(text, []).append(name)
            raw.add_passage(Passage(name, text, title, paper.id), paper.where)
    return copies


def _add_question(
    raw: RawTask, paper: Paper, question: Question, paragraphs: Mapping[str, list[str]], split: str | None
) -> None:
    where = f"{paper.where}: question {question.id}"
    annotations = []
    for answer in question.answers:
        members(answer, "extractive_spans", str, where, [])
        found = reference(answer)
        if found is None:
            raw.problem(where, "an annotation holds no answer", "remove it, or fill one of its four kinds")
            continue
        marked = (
            ()
            if found.kind == "unanswerable"
            else _evidence(raw, members(answer, "evidence", str, where, []), paragraphs)
        )
        annotations.append(Annotation(found, marked))
    if not question.answers:
        raw.problem(where, "the question has no answers", "remove it, or use a release with answers")
    if raw.add_query(Query(question.id, question.text.strip(), paper.id), where, split):
        raw.annotations[question.id] = tuple(annotations)


def _evidence(raw: RawTask, strings: Sequence[str], paragraphs: Mapping[str, list[str]]) -> tuple[str, ...]:
    marked: dict[str, None] = {}
    for text in strings:
        if text.startswith(FLOAT_PREFIX):
            raw.count("float-evidence")
        elif text in paragraphs and text.strip():
            marked |= dict.fromkeys(paragraphs[text])
        else:
            raw.count("unmatched-evidence")
    return tuple(marked)
