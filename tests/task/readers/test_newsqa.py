"""NewsQA: original JSON and CSV give one task, MRQA the same passages."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.task.parts import card_of, read, write_json, write_jsonl
from uae_bench.errors import BadInput
from uae_bench.records import Annotation, Answer
from uae_bench.task.readers.newsqa import verdict_of
from uae_bench.task.task import read_task

STORY = "LONDON (CNN) -- Rain fell.\n\n\n\nIt fell on 3 May, they said."  # "3 May" is [41, 46)
COLUMNS = ("story_id", "story_text", "question", "answer_char_ranges", "is_question_bad", "validated_answers")


def original_json(path: Path, *questions: dict[str, Any], split: str = "train") -> Path:
    story = {"storyId": "./s.story", "text": STORY, "type": split, "questions": list(questions)}
    return write_json(path, {"data": [story], "version": "1"})


def original_csv(path: Path, *rows: tuple[str, str, str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(("./s.story", STORY.replace("\n", "\r\n"), *row) for row in rows)
    return path


def mrqa(*questions: tuple[str, list[int]]) -> dict[str, Any]:
    asked = [
        {"qid": key, "question": f"{key}?", "detected_answers": [{"text": "", "char_spans": [span]}]}
        for key, span in questions
    ]
    return {"context": STORY, "qas": asked}


def test_the_offsets_of_this_file_are_right() -> None:
    assert STORY[41:46] == "3 May"


def test_json_and_csv_give_the_same_passages_questions_and_references(tmp_path: Path) -> None:
    asked = [
        {"q": "When?", "consensus": {"s": 41, "e": 46}},
        {"q": "Who?", "consensus": {"noAnswer": True}},
        {"q": "Huh?", "consensus": {"badQuestion": True}},
    ]
    a = read("newsqa", {"data": original_json(tmp_path / "n.json", *asked)}, words=4)
    rows = [
        ("When?", "41:46|0:6|41:46", "0.0", ""),
        ("Who?", "None|None", "0.25", '{"none": 2, "41:46": 1}'),
        ("Huh?", "None|0:6", "0.75", '{"bad_question": 2}'),
    ]
    b = read("newsqa", {"data": original_csv(tmp_path / "n.csv", *rows)}, words=4)
    assert (a.passages, a.queries, a.annotations, a.qrels) == (b.passages, b.queries, b.annotations, b.qrels)
    assert a.counts["bad-questions"] == b.counts["bad-questions"] == 1
    assert sorted(one.answer.text for given in a.annotations.values() for one in given) == ["3 May", "Unanswerable"]


def test_original_end_offsets_are_exclusive_and_may_point_behind_a_blank(tmp_path: Path) -> None:
    raw = read("newsqa", {"data": original_json(tmp_path / "n.json", {"q": "?", "consensus": {"s": 0, "e": 7}})})
    assert next(iter(raw.annotations.values()))[0].answer == Answer("LONDON", "extractive")


def test_mrqa_spans_include_their_last_character(tmp_path: Path) -> None:
    raw = read("newsqa", {"data": write_jsonl(tmp_path / "n.jsonl", [{"header": {}}, mrqa(("a", [41, 45]))])}, words=4)
    (passage,) = raw.annotations["a"][0].evidence
    assert raw.annotations["a"] == (Annotation(Answer("3 May", "extractive"), (passage,)),)
    assert "3 May" in raw.passages[passage].text


def test_a_story_is_cut_and_named_alike_in_every_build(tmp_path: Path) -> None:
    a = read("newsqa", {"data": original_json(tmp_path / "n.json", {"q": "?", "consensus": {"s": 0, "e": 6}})}, words=4)
    packed = tmp_path / "n.jsonl.gz"
    with gzip.open(packed, "wt", encoding="utf-8") as file:
        file.write(json.dumps(mrqa(("a", [0, 5]))) + "\n" + json.dumps(mrqa(("b", [0, 5]))) + "\n")
    assert read("newsqa", {"data": packed}, words=4).passages == a.passages


def test_context_markers_are_no_words_and_move_no_offset(tmp_path: Path) -> None:
    line = {"context": "a [PAR] b c", "qas": [
        {"qid": "q", "question": "?", "detected_answers": [{"text": "b", "char_spans": [[8, 8]]}]}
    ]}  # fmt: skip
    raw = read("newsqa", {"data": write_jsonl(tmp_path / "n.jsonl", [line])}, words=2)
    assert [one.text.split() for one in raw.passages.values()] == [["a", "b"], ["c"]]
    assert raw.annotations["q"][0].answer.text == "b"


@pytest.mark.parametrize(
    ("ranges", "votes", "bad", "verdict"),
    [
        ("0:6|41:46|41:46", {}, 0.0, "41:46"),  # no vote was needed: most answerers
        ("0:6|41:46", {"0:6": 2, "none": 1}, 0.0, "0:6"),  # 2 of 3 validators
        ("0:6", {"0:6": 1, "1:6": 1, "none": 1}, 0.0, "none"),  # no answer has half of the votes
        ("None|None|0:6", {}, 0.0, "none"),
        ("0:6", {"bad_question": 2, "none": 1}, 0.6, "bad_question"),
    ],
)
def test_the_consensus_of_a_csv_row(ranges: str, votes: dict[str, int], bad: float, verdict: str) -> None:
    assert verdict_of(ranges, votes, bad) == verdict


def test_the_mrqa_dev_file_serves_as_test_and_that_is_said(tmp_path: Path) -> None:
    lines = [mrqa((f"t{n}", [0, 5])) | {"context": f"{STORY} {n}"} for n in range(10)]
    write_jsonl(tmp_path / "train" / "NewsQA.jsonl", lines)
    write_jsonl(tmp_path / "dev" / "NewsQA.jsonl", [mrqa(("d", [0, 5]))])
    task = read_task(card_of("newsqa"), tmp_path)
    assert {name: len(split.queries) for name, split in task.splits.items()} == {"train": 9, "dev": 1, "test": 1}
    assert task.splits["test"].queries == ("d",)
    assert "dev-as-test" in [note.name for note in task.notes]


def test_questions_without_their_stories_are_refused_with_the_way_to_combine_them(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_text("story_id,question,answer_char_ranges\n./s,When?,0:6\n")
    with pytest.raises(BadInput, match="row 1 has no story text") as error:
        read("newsqa", {"data": path})
    assert "CNN stories" in error.value.hint
