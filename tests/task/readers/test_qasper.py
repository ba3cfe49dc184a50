"""QASPER: both layouts are one task; paragraphs, evidence and answers by the official rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from tests.task.parts import card_of, read, write_json, write_jsonl
from uae_bench.records import Annotation, Answer
from uae_bench.task.readers.qasper import reference
from uae_bench.task.task import read_task

EMPTY = {"unanswerable": False, "extractive_spans": [], "free_form_answer": "", "yes_no": None, "evidence": []}
SECTIONS = [("Intro", ["first", ""]), (None, ["again", "again"])]


def answer(**given: Any) -> dict[str, Any]:
    return {**EMPTY, **given}


QUESTIONS = {
    "k1": ("What?", [answer(extractive_spans=["x", "y"], evidence=["first"]), answer(free_form_answer="z")]),
    "k2": ("Why?", [answer(yes_no=False, evidence=["again", "FLOAT SELECTED: Table 1", "gone"])]),
}


def official() -> dict[str, Any]:
    return {
        "p": {
            "full_text": [{"section_name": name, "paragraphs": texts} for name, texts in SECTIONS],
            "qas": [
                {"question_id": key, "question": text, "answers": [{"answer": one} for one in given]}
                for key, (text, given) in QUESTIONS.items()
            ],
        }
    }


def columnar() -> dict[str, Any]:
    return {
        "id": "p",
        "full_text": {"section_name": [name for name, _ in SECTIONS], "paragraphs": [texts for _, texts in SECTIONS]},
        "qas": {
            "question_id": list(QUESTIONS),
            "question": [text for text, _ in QUESTIONS.values()],
            "answers": [{"answer": given} for _, given in QUESTIONS.values()],
        },
    }


def test_empty_paragraphs_are_dropped_and_the_others_keep_their_index(tmp_path: Path) -> None:
    raw = read("qasper", {"data": write_json(tmp_path / "a.json", official())})
    assert {one.id: (one.title, one.text) for one in raw.passages.values()} == {
        "p#0": ("Intro", "first"), "p#2": ("", "again"), "p#3": ("", "again"),
    }  # fmt: skip
    assert raw.counts["empty-paragraphs"] == 1


def test_evidence_is_matched_exactly_and_marks_every_copy(tmp_path: Path) -> None:
    raw = read("qasper", {"data": write_json(tmp_path / "a.json", official())})
    assert raw.annotations["k2"] == (Annotation(Answer("No", "yes-no"), ("p#2", "p#3")),)
    assert (raw.counts["float-evidence"], raw.counts["unmatched-evidence"]) == (1, 1)


def test_annotators_stay_apart(tmp_path: Path) -> None:
    raw = read("qasper", {"data": write_json(tmp_path / "a.json", official())})
    assert raw.annotations["k1"] == (
        Annotation(Answer("x, y", "extractive"), ("p#0",)),
        Annotation(Answer("z", "free-form"), ()),
    )


@pytest.mark.parametrize(
    ("given", "text", "kind"),
    [
        ({"unanswerable": True, "extractive_spans": ["x"]}, "Unanswerable", "unanswerable"),
        ({"extractive_spans": ["x", "y"], "free_form_answer": "z"}, "x, y", "extractive"),
        ({"free_form_answer": "z", "yes_no": True}, "z", "free-form"),
        ({"yes_no": True}, "Yes", "yes-no"),
        ({"yes_no": False}, "No", "yes-no"),
    ],
)
def test_the_reference_follows_the_official_order(given: dict[str, Any], text: str, kind: str) -> None:
    found = reference(answer(**given))
    assert found is not None
    assert (found.text, found.kind) == (text, kind)


def test_an_unanswerable_annotation_has_no_evidence(tmp_path: Path) -> None:
    content = official()
    content["p"]["qas"][0]["answers"] = [{"answer": answer(unanswerable=True, evidence=["first"])}]
    raw = read("qasper", {"data": write_json(tmp_path / "a.json", content)})
    assert raw.annotations["k1"][0].evidence == ()


def test_all_layouts_give_the_same_task(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([columnar()]), tmp_path / "c.parquet")
    write_json(tmp_path / "a.json", official())
    write_jsonl(tmp_path / "b.jsonl", [columnar()])
    tasks = [read_task(card_of("qasper"), tmp_path / name) for name in ("a.json", "b.jsonl", "c.parquet")]
    assert len({task.digest for task in tasks}) == 1
    assert tasks[0].passages == tasks[1].passages == tasks[2].passages
    assert tasks[0].annotations == tasks[1].annotations == tasks[2].annotations


def test_an_annotation_or_question_without_an_answer_is_a_problem(tmp_path: Path) -> None:
    content = official()
    content["p"]["qas"][0]["answers"] = [{"answer": EMPTY}]
    content["p"]["qas"][1]["answers"] = []
    raw = read("qasper", {"data": write_json(tmp_path / "a.json", content)})
    assert [problem.what for problem in raw.problems] == [
        "an annotation holds no answer",
        "the question has no answers",
    ]


def test_a_folder_with_one_file_per_split_keeps_the_splits(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        paper = columnar() | {"id": split}
        paper["qas"]["question_id"] = [f"{split}-{key}" for key in QUESTIONS]
        write_jsonl(tmp_path / f"{split}.jsonl", [paper])
    task = read_task(card_of("qasper"), tmp_path)
    assert {name: split.queries for name, split in task.splits.items()} == {
        "train": ("train-k1", "train-k2"), "dev": ("validation-k1", "validation-k2"), "test": ("test-k1", "test-k2"),
    }  # fmt: skip
