"""SQuAD layout, on files small enough to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.task.parts import question, read, squad, write_json
from uae_bench.errors import BadInput
from uae_bench.records import Annotation, Answer
from uae_bench.task.readers.raw import RawTask

CONTEXT = "one two three four five"  # offsets: one 0, two 4, three 8, four 14, five 19


def read_squad(folder: Path, content: object, words: int = 2) -> RawTask:
    return read("squad", {"data": write_json(folder / "data.json", content)}, words=words)


def test_contexts_are_cut_by_words_and_named_after_their_document(tmp_path: Path) -> None:
    raw = read_squad(tmp_path, squad({"context": CONTEXT, "document_id": 7, "qas": []}))
    assert {one.id: one.text for one in raw.passages.values()} == {"7#0": "one two", "7#1": "three four", "7#2": "five"}
    assert {one.document_id for one in raw.passages.values()} == {"7"}


def test_paragraphs_of_an_article_share_its_document_and_are_cut_apart(tmp_path: Path) -> None:
    content = {
        "data": [{"title": "Two_Parts", "paragraphs": [{"context": "a b c", "qas": []}, {"context": "d", "qas": []}]}]
    }
    raw = read_squad(tmp_path, content)
    assert [(one.id, one.text, one.title) for one in raw.passages.values()] == [
        ("Two_Parts#0", "a b", "Two Parts"), ("Two_Parts#1", "c", "Two Parts"), ("Two_Parts#2", "d", "Two Parts"),
    ]  # fmt: skip


def test_evidence_is_every_passage_that_the_answer_touches(tmp_path: Path) -> None:
    asked = question("q", ("two three", 4))
    raw = read_squad(tmp_path, squad({"context": CONTEXT, "document_id": "d", "qas": [asked]}))
    assert raw.annotations["q"] == (Annotation(Answer("two three", "extractive"), ("d#0", "d#1")),)
    assert raw.counts == {"border-answers": 1}


def test_an_offset_off_by_one_is_repaired_to_the_nearest_occurrence(tmp_path: Path) -> None:
    # "a" stands at 0 and at 6; offset 5 is nearer to 6, which is in the second passage ("c a" = words 2, 3)
    raw = read_squad(tmp_path, squad({"context": "a bb c a", "document_id": "d", "qas": [question("q", ("a", 5))]}))
    assert raw.annotations["q"][0].evidence == ("d#1",)
    assert raw.counts["repaired-offsets"] == 1


def test_an_answer_that_is_not_in_its_context_is_kept_without_evidence_and_counted(tmp_path: Path) -> None:
    raw = read_squad(tmp_path, squad({"context": CONTEXT, "document_id": "d", "qas": [question("q", ("six", 3))]}))
    assert raw.annotations["q"] == (Annotation(Answer("six", "extractive"), ()),)
    assert [note.name for note in raw.notes] == ["unrepairable-offsets"]


def test_white_space_around_an_answer_is_no_part_of_it(tmp_path: Path) -> None:
    raw = read_squad(tmp_path, squad({"context": CONTEXT, "document_id": "d", "qas": [question("q", (" three ", 7))]}))
    assert raw.annotations["q"] == (Annotation(Answer("three", "extractive"), ("d#1",)),)
    assert not raw.counts


def test_an_impossible_question_is_unanswerable_and_has_no_evidence(tmp_path: Path) -> None:
    asked = question("q", is_impossible=True)
    raw = read_squad(tmp_path, squad({"context": CONTEXT, "document_id": "d", "qas": [asked]}))
    assert raw.annotations["q"] == (Annotation(Answer("Unanswerable", "unanswerable"), ()),)


def test_a_question_without_answers_is_a_problem_at_its_json_path(tmp_path: Path) -> None:
    raw = read_squad(tmp_path, squad({"context": CONTEXT, "document_id": "d", "qas": [question("q")]}))
    assert raw.problems[0].where.endswith("data.json: data[0].paragraphs[0].qas[0]")
    assert "no answers" in raw.problems[0].what


def test_a_repeated_question_id_is_a_problem(tmp_path: Path) -> None:
    asked = [question("q", ("one", 0)), question("q", ("two", 4))]
    raw = read_squad(tmp_path, squad({"context": CONTEXT, "document_id": "d", "qas": asked}))
    assert "'q' occurs a second time" in raw.problems[0].what


def test_files_named_by_split_assign_their_questions(tmp_path: Path) -> None:
    files = {
        split: write_json(
            tmp_path / f"{split}.json",
            squad({"context": CONTEXT, "document_id": split, "qas": [question(f"q-{split}", ("one", 0))]}),
        )
        for split in ("train", "test")
    }
    assert read("squad", files).splits == {"train": ["q-train"], "test": ["q-test"]}


def test_another_layout_is_named_with_the_place(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no list under 'data'"):
        read_squad(tmp_path, {"questions": []})
    with pytest.raises(BadInput, match=r"data\[0\] has no 'paragraphs' of type list"):
        read_squad(tmp_path, {"data": [{"text": "x"}]})
