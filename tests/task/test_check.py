"""`task check`: every problem with its line, near-duplicates across splits, effective documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.progress import Notes
from tests.task.parts import card_of, question, squad, task_of, write_json, write_jsonl
from uae_bench.errors import CheckFailed, UnknownName
from uae_bench.records import Passage, Query
from uae_bench.task.check import check_task, inspected, near_duplicates, require, shingles
from uae_bench.task.create import new_card
from uae_bench.task.readers.raw import RawTask
from uae_bench.task.task import assembled, read_task

PAPER = {"context": "one two", "document_id": "d", "qas": [question("q", ("one", 0))]}
PARAGRAPH = " ".join(f"word{number}" for number in range(40))


def test_effective_documents_count_a_crowded_document_for_less() -> None:
    # queries per document: a 3, b 1, and one query without a document: (3+1+1)² / (9+1+1) = 25/11
    task = task_of({"a#0": "a", "b#0": "b"}, {"q1": "a", "q2": "a", "q3": "a", "q4": "b", "q5": None})
    assert (inspected(task).effective_documents or {})["test"] == pytest.approx(25 / 11)


def test_every_bad_line_is_reported(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write_jsonl(folder / "passages.jsonl", [{"id": "p", "text": "x", "document_id": "d"}])
    write_jsonl(folder / "queries.jsonl", [{"id": "q", "text": "?", "document_id": "d", "answers": ["x"]}])
    path, _ = new_card("mine", folder, tmp_path)
    write_jsonl(folder / "passages.jsonl", [{"id": "p", "text": ""}, {"id": "p", "text": "x"}, {"id": "r", "txt": "x"}])
    path.write_text(path.read_text().split("[files")[0])
    report = check_task(str(path))
    assert [line.split("passages.jsonl")[1].split(",")[0] for line in report.lines() if line.startswith("problem")] == [
        ":1: passage 'p' is empty. give it text or remove it",
        ":2: the passage id 'p' occurs a second time. make ids unique within the task",
        ":3: the key 'text' is missing. add it",
        ":3: unknown key 'txt'. did you mean text or title?",
    ]  # fmt: skip
    with pytest.raises(CheckFailed, match="task mine has 4 problems"):
        require(report)


def test_what_is_wrong_with_the_card_is_a_problem_and_an_unknown_name_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("nonsense = 1\n")
    report = check_task(str(tmp_path / "mine.toml"))
    assert not report.ok
    assert "unknown key 'nonsense'" in report.problems[0].what
    path, _ = new_card("other", write_json(tmp_path / "d.json", squad(PAPER)), tmp_path)
    path.write_text(path.read_text().replace('reader = "squad"', 'reader = "sqad"'))
    (problem,) = check_task(str(path)).problems
    assert problem.what == "no reader is called 'sqad'" and "squad" in problem.fix
    with pytest.raises(UnknownName):
        check_task("no-such-task")


def two_splits(folder: Path, train: str, test: str, asked: str = "other?") -> Path:
    rows = {"train": (train, "what is x?"), "test": (test, asked)}
    write_jsonl(
        folder / "passages.jsonl",
        [{"id": f"p-{split}", "text": text, "document_id": split} for split, (text, _) in rows.items()],
    )
    write_jsonl(
        folder / "queries.jsonl",
        [{"id": f"q-{split}", "text": text, "document_id": split, "split": split, "answers": ["x"],
          "evidence": [f"p-{split}"]} for split, (_, text) in rows.items()],
    )  # fmt: skip
    return folder


def test_a_passage_half_of_which_stands_in_another_split_is_a_near_duplicate(tmp_path: Path) -> None:
    changed = PARAGRAPH.replace("word39", "end")  # 27 of its 28 sequences of 13 words stay
    task = read_task(card_of("jsonl"), two_splits(tmp_path, PARAGRAPH, changed))
    progress = Notes()
    (found,) = near_duplicates(task, progress)
    assert progress.labels["passage texts of test"] == 1
    assert (found.kind, found.first, found.second, found.splits) == ("passage", "p-train", "p-test", ("train", "test"))
    kept = shingles(changed) & shingles(PARAGRAPH)
    assert found.share == len(kept) / len(shingles(changed)) > 0.5
    assert any(
        "1 passages of test nearly repeat train, e.g. p-test and p-train" in one for one in inspected(task).warnings
    )


@given(st.lists(st.text("abcdefghij", min_size=1, max_size=8), min_size=12, max_size=18))
def test_an_exact_copy_is_found_however_short(words: list[str]) -> None:
    raw = RawTask()
    for split in ("train", "test"):
        raw.add_passage(Passage(f"p-{split}", " ".join(words), "", split), split)
        raw.add_query(Query(f"q-{split}", f"{split}?", split), split, split)
    assert [one.share for one in near_duplicates(assembled(card_of(), raw))] == [1.0]


def test_other_text_is_no_near_duplicate(tmp_path: Path) -> None:
    other = " ".join(f"other{number}" for number in range(40))
    assert near_duplicates(read_task(card_of("jsonl"), two_splits(tmp_path, PARAGRAPH, other))) == ()


def test_a_query_with_the_same_words_is_a_near_duplicate(tmp_path: Path) -> None:
    task = read_task(card_of("jsonl"), two_splits(tmp_path, "a", "b", asked="What is X"))
    assert [(one.kind, one.first, one.second) for one in near_duplicates(task)] == [("query", "q-train", "q-test")]


def test_weaknesses_are_warned_of(tmp_path: Path) -> None:
    asked = [question("q1", ("absent", 0)), question("q2", ("one", 0))]
    path = write_json(tmp_path / "d.json", squad({"context": "one two", "document_id": "d", "qas": asked}))
    shares = {"train": {"use": "train", "share": 0.1}, "test": {"use": "test", "share": 0.9}}
    warnings = "\n".join(inspected(read_task(card_of(splits=shares), path)).warnings)
    assert "split test has 1.0 effective documents; below 20" in warnings
    assert "1 queries have no relevant passage, e.g. q1" in warnings
    assert "split train has no queries" in warnings


def test_a_document_in_two_splits_is_warned_of(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "passages.jsonl", [{"id": "p", "text": "x", "document_id": "d"}])
    rows = [{"id": split, "text": f"{split}?", "document_id": "d", "split": split} for split in ("train", "test")]
    write_jsonl(tmp_path / "queries.jsonl", rows)
    assert (
        "1 documents have queries in more than one split, e.g. d"
        in inspected(read_task(card_of("jsonl"), tmp_path)).warnings
    )
