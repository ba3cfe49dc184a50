"""Plain JSONL: what may be left out, what is shared, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.task.parts import card_of, read, write_jsonl
from uae_bench.records import Annotation, Answer
from uae_bench.task.readers.raw import RawTask
from uae_bench.task.task import read_task

PASSAGES = [{"id": "p1", "text": "x", "document_id": "d"}, {"id": "p2", "text": "y", "title": "T"}]


def read_queries(folder: Path, *queries: Any) -> RawTask:
    write_jsonl(folder / "passages.jsonl", PASSAGES)
    write_jsonl(folder / "queries.jsonl", queries)
    return read("jsonl", {name: folder / f"{name}.jsonl" for name in ("passages", "queries")})


def test_answers_share_the_querys_evidence_unless_they_bring_their_own(tmp_path: Path) -> None:
    own = {"text": "Yes", "kind": "yes-no", "evidence": ["p2"]}
    raw = read_queries(tmp_path, {"id": "q", "text": "?", "answers": ["a", own], "evidence": ["p1"]})
    assert raw.annotations["q"] == (
        Annotation(Answer("a", "free-form"), ("p1",)),
        Annotation(Answer("Yes", "yes-no"), ("p2",)),
    )
    assert raw.qrels["q"] == {"p1": 1, "p2": 1}


def test_unanswerable_needs_no_kind_and_has_no_evidence(tmp_path: Path) -> None:
    named = {"text": "n/a", "kind": "unanswerable"}
    raw = read_queries(tmp_path, {"id": "q", "text": "?", "answers": ["Unanswerable", named], "evidence": ["p1"]})
    assert raw.annotations["q"] == (
        Annotation(Answer("Unanswerable", "unanswerable"), ()),
        Annotation(Answer("n/a", "unanswerable"), ()),
    )


def test_evidence_without_answers_is_judgements_alone(tmp_path: Path) -> None:
    raw = read_queries(tmp_path, {"id": "q", "text": "?", "evidence": ["p1"]})
    assert (raw.annotations, raw.qrels) == ({}, {"q": {"p1": 1}})


def test_queries_may_name_their_splits(tmp_path: Path) -> None:
    read_queries(tmp_path, {"id": "q", "text": "?", "split": "train"}, {"id": "r", "text": "?", "split": "test"})
    task = read_task(card_of("jsonl"), tmp_path)
    assert {name: split.queries for name, split in task.splits.items()} == {"train": ("q",), "test": ("r",)}


@pytest.mark.parametrize(
    ("query", "what", "fix"),
    [
        ({"id": "q", "text": "?", "answer": "a"}, "unknown key 'answer'", "did you mean answers?"),
        ({"id": "q"}, "the key 'text' is missing", "add it"),
        ({"id": 3, "text": "?"}, "'id' is 3, not of type str", "mend"),
        ({"id": "q", "text": "?", "answers": []}, "empty list of answers", "leave 'answers' out"),
        ({"id": "q", "text": "?", "answers": [" "]}, "an answer is empty", "give it text"),
        ({"id": "q", "text": "?", "evidence": ["p9"]}, "no passage has the id 'p9'", "add it to passages.jsonl"),
        ({"id": "q", "text": "?", "answers": [{"text": "a", "kind": "span"}]}, "unknown answer kind 'span'", "known"),
        ({"id": "q", "text": " "}, "query 'q' is empty", "give it text"),
    ],
)
def test_a_bad_line_is_named_with_its_fix(tmp_path: Path, query: object, what: str, fix: str) -> None:
    problem = read_queries(tmp_path, query).problems[0]
    assert problem.where.endswith("queries.jsonl:1")
    assert what in problem.what
    assert fix in problem.fix


def test_a_line_that_is_no_json_is_a_problem_and_the_others_are_read(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "passages.jsonl", PASSAGES)
    (tmp_path / "queries.jsonl").write_text('{"id": "q", "text": \n{"id": "r", "text": "?"}\n')
    raw = read("jsonl", {name: tmp_path / f"{name}.jsonl" for name in ("passages", "queries")})
    assert raw.problems[0].where.endswith("queries.jsonl:1")
    assert list(raw.queries) == ["r"]


def test_half_named_splits_are_a_problem(tmp_path: Path) -> None:
    raw = read_queries(tmp_path, {"id": "q", "text": "?", "split": "test"}, {"id": "r", "text": "?"})
    assert raw.problems[0].what == "1 of 2 queries name a split"
