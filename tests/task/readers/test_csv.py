"""CSV: rows that share a text share its passages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.task.parts import read
from uae_bench.errors import BadInput
from uae_bench.records import Annotation, Answer


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_equal_texts_are_cut_once_and_answers_found_in_them(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", 'question,answer,context,document\nA?,two,"one two, three",d\nB?,nine,"one two, three",d\n'
    )
    raw = read("csv", {"data": path}, words=2, document="document")
    assert {one.id: one.text for one in raw.passages.values()} == {"d#0": "one two,", "d#1": "three"}
    assert raw.annotations == {
        "row1": (Annotation(Answer("two", "extractive"), ("d#0",)),),
        "row2": (Annotation(Answer("nine", "free-form"), ()),),
    }
    assert raw.counts["free-form-answers"] == 1


def test_a_column_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "question,answers,context\nA?,x,x\n")
    with pytest.raises(BadInput, match="no column 'answer'") as error:
        read("csv", {"data": path})
    assert "answers" in error.value.hint


def test_a_row_without_an_answer_is_a_problem(tmp_path: Path) -> None:
    raw = read("csv", {"data": write(tmp_path / "a.csv", "question,answer,context\nA?,,x\n")})
    assert raw.problems[0].where.endswith("a.csv: row 1")


def test_a_row_with_too_many_cells_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="row 1 has more cells than the header"):
        read("csv", {"data": write(tmp_path / "a.csv", "question,answer,context\nA?,b,c,d\n")})


def test_the_answer_unanswerable_says_that_there_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "question,answer,context\nA?,Unanswerable,one two\n")
    raw = read("csv", {"data": path})
    assert raw.annotations == {"row1": (Annotation(Answer("Unanswerable", "unanswerable"), ()),)}
    assert "free-form-answers" not in raw.counts
