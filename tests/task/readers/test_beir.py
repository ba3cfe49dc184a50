"""BEIR folders: documents, grades, splits, and everything that can be wrong with a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.task.parts import card_of, read, write_jsonl
from uae_bench.errors import BadInput
from uae_bench.task.readers.raw import RawTask
from uae_bench.task.task import read_task

CORPUS = [{"_id": "a", "title": "T", "text": "ta", "metadata": {"document_id": "d"}}, {"_id": "b", "text": "tb"}]
QUERIES = [{"_id": "q", "text": "?", "metadata": {"document_id": "d"}}, {"_id": "r", "text": "?"}]
HEADER = "query-id\tcorpus-id\tscore\n"


def folder(path: Path, **qrels: str) -> Path:
    write_jsonl(path / "corpus.jsonl", CORPUS)
    write_jsonl(path / "queries.jsonl", QUERIES)
    (path / "qrels").mkdir()
    for split, text in qrels.items():
        (path / "qrels" / f"{split}.tsv").write_text(text)
    return path


def read_folder(path: Path) -> RawTask:
    qrels = {f"qrels/{one.stem}": one for one in sorted((path / "qrels").iterdir())}
    return read("beir", {"corpus": path / "corpus.jsonl", "queries": path / "queries.jsonl", **qrels})


def test_a_passage_without_a_document_is_one_and_a_query_may_have_none(tmp_path: Path) -> None:
    raw = read_folder(folder(tmp_path, test=HEADER + "q\ta\t1\n"))
    assert {one.id: one.document_id for one in raw.passages.values()} == {"a": "d", "b": "b"}
    assert {one.id: one.document_id for one in raw.queries.values()} == {"q": "d", "r": None}


def test_each_qrels_file_is_a_split_and_grades_are_kept(tmp_path: Path) -> None:
    task = read_task(card_of("beir"), folder(tmp_path, train=HEADER + "q\ta\t2\nq\tb\t0\n", test=HEADER + "r\tb\t1\n"))
    assert {name: split.queries for name, split in task.splits.items()} == {"train": ("q",), "test": ("r",)}
    assert task.qrels == {"q": {"a": 2, "b": 0}, "r": {"b": 1}}
    assert task.evidence("q") == {"a"}
    assert not task.has_answers


def test_trec_columns_are_read_too(tmp_path: Path) -> None:
    assert read_folder(folder(tmp_path, test="q\t0\ta\t1\n")).qrels == {"q": {"a": 1}}


def test_queries_without_judgements_belong_to_no_split_and_are_counted(tmp_path: Path) -> None:
    task = read_task(card_of("beir"), folder(tmp_path, train=HEADER + "q\ta\t1\n", test=HEADER))
    assert "unjudged-queries: 1" in str(task.notes[0])


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("q\tzzz\t1", "no passage has the id 'zzz'"),
        ("zzz\ta\t1", "no query has the id 'zzz'"),
        ("q\ta\thigh", "grade 'high' is not an integer"),
        ("q\ta\t--5", "grade '--5' is not an integer"),
        ("q\ta\t²", "grade '²' is not an integer"),
        ("q a 1", "1 columns"),
        ("q\ta\t1\nq\ta\t1", "'q' judges passage 'a' a second time"),
    ],
)
def test_a_bad_judgement_is_named_by_file_and_line(tmp_path: Path, line: str, what: str) -> None:
    problem = read_folder(folder(tmp_path, test=HEADER + line + "\n")).problems[0]
    assert problem.where.endswith(f"test.tsv:{2 + line.count(chr(10))}")
    assert what in problem.what


def test_a_query_in_two_splits_is_a_problem(tmp_path: Path) -> None:
    raw = read_folder(folder(tmp_path, train=HEADER + "q\ta\t1\n", test=HEADER + "q\tb\t1\n"))
    assert [problem.what for problem in raw.problems] == ["query 'q' is judged in test and in train"]


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"_id": "a", "text": "again"}, "'a' occurs a second time"),
        ({"_id": "c", "text": "  "}, "passage 'c' is empty"),
        ({"_id": "two words", "text": "x"}, "white space"),
        ({"text": "x"}, "the passage id '' is empty"),
        ({"_id": "c", "text": 3}, "'text' is not a text but 3"),
        ([1], "not a JSON object"),
    ],
)
def test_a_bad_passage_is_named_by_file_and_line(tmp_path: Path, row: object, what: str) -> None:
    path = folder(tmp_path, test=HEADER + "q\ta\t1\n")
    write_jsonl(path / "corpus.jsonl", [*CORPUS, row])
    problem = read_folder(path).problems[0]
    assert problem.where.endswith("corpus.jsonl:3")
    assert what in problem.what


def test_loading_names_the_first_problem_and_how_many_follow(tmp_path: Path) -> None:
    path = folder(tmp_path, test=HEADER + "q\tx\t1\nq\ty\t1\n")
    with pytest.raises(BadInput, match=r"test\.tsv:2: no passage has the id 'x' \(and 1 more problems\)") as error:
        read_task(card_of("beir"), path)
    assert "task check small" in error.value.hint
