"""`task new`: the card works at once, whatever layout the data has; `task pin` on local files."""

from __future__ import annotations

import errno
import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.task.parts import question, squad, write_json, write_jsonl
from uae_bench.errors import BadInput, NotPossible, StoreError
from uae_bench.task.card import card_path
from uae_bench.task.create import detect, new_card, to_toml
from uae_bench.task.pin import pin_card
from uae_bench.task.task import load_task


def squad_file(path: Path, documents: int = 10) -> Path:
    paragraphs = [
        {"context": "one two", "document_id": n, "qas": [question(f"q{n}", ("two", 4))]} for n in range(documents)
    ]
    return write_json(path, squad(*paragraphs))


def test_a_squad_file_becomes_a_task_split_by_document(tmp_path: Path) -> None:
    source = squad_file(tmp_path / "data" / "d.json")
    path, card = new_card("mine", source, tmp_path / "tasks", seed=3)
    task = load_task(str(path))
    assert path == tmp_path / "tasks" / "mine.toml"
    assert (card.reader, card.pool, card.split_seed, card.has_answers) == ("squad", "document", 3, True)
    assert {name: len(split.queries) for name, split in task.splits.items()} == {"train": 7, "dev": 1, "test": 2}
    assert len(card.files["data"].sha256 or "") == 64


def test_data_below_the_card_moves_with_it(tmp_path: Path) -> None:
    new_card("mine", squad_file(tmp_path / "a" / "d.json"), tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert load_task(str(tmp_path / "b" / "mine.toml")).queries


def test_a_beir_folder_keeps_its_splits_and_has_no_answers(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "corpus.jsonl", [{"_id": "a", "text": "x"}])
    write_jsonl(tmp_path / "queries.jsonl", [{"_id": "q", "text": "?"}, {"_id": "r", "text": "?"}])
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "train.tsv").write_text("q\ta\t1\n")
    (tmp_path / "qrels" / "test.tsv").write_text("r\ta\t1\n")
    path, card = new_card("mine", tmp_path, tmp_path / "tasks")
    assert (card.reader, card.pool, card.has_answers) == ("beir", "corpus", False)
    assert {name: split.queries for name, split in load_task(str(path)).splits.items()} == {
        "train": ("q",),
        "test": ("r",),
    }
    assert set(card.files) == {"corpus", "queries", "qrels/train", "qrels/test"}


def test_a_jsonl_folder_and_a_csv_are_recognised(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "j" / "passages.jsonl", [{"id": "p", "text": "x", "document_id": "d"}])
    write_jsonl(tmp_path / "j" / "queries.jsonl", [{"id": "q", "text": "?", "document_id": "d", "answers": ["x"]}])
    (tmp_path / "t.csv").write_text("Query,Reference,Passage\nWhat?,x,x y\n")
    assert new_card("a", tmp_path / "j", tmp_path)[1].reader == "jsonl"
    _, card = new_card("b", tmp_path / "t.csv", tmp_path)
    assert card.options == {"question": "Query", "answer": "Reference", "context": "Passage"}
    assert load_task(str(tmp_path / "b.toml")).answers("row1")[0].text == "x"


def test_columns_of_a_csv_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("frage,antwort,text\nWas?,x,x y\n")
    columns = {"question": "frage", "answer": "antwort"}
    assert new_card("a", tmp_path / "t.csv", tmp_path, columns=columns)[1].options["context"] == "text"
    with pytest.raises(BadInput, match="no column that is the question") as error:
        new_card("b", tmp_path / "t.csv", tmp_path)
    assert "question=COLUMN" in error.value.hint
    with pytest.raises(BadInput, match="'frage' is no column to name"):
        new_card("b", tmp_path / "t.csv", tmp_path, columns={"frage": "question"})


def test_an_existing_card_is_never_overwritten(tmp_path: Path) -> None:
    source = squad_file(tmp_path / "d.json")
    new_card("mine", source, tmp_path)
    with pytest.raises(BadInput, match=r"mine\.toml exists"):
        new_card("mine", source, tmp_path)


def test_a_shipped_task_s_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'qasper' is a task that ships"):
        new_card("qasper", squad_file(tmp_path / "d.json"), tmp_path / "tasks")
    assert not (tmp_path / "tasks").exists()


@pytest.mark.parametrize("name", ["../mine", "a b", "", ".hidden"])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot name a task"):
        new_card(name, squad_file(tmp_path / "d.json"), tmp_path / "tasks")
    assert not (tmp_path / "tasks").exists()


def test_unusable_data_leaves_no_card(tmp_path: Path) -> None:
    source = write_json(tmp_path / "d.json", squad({"context": "x", "qas": [question("q")]}))
    with pytest.raises(BadInput, match="has no answers"):
        new_card("mine", source, tmp_path)
    assert not (tmp_path / "mine.toml").exists()


@pytest.mark.parametrize(("count", "told"), [(1, 1), (3, 3), (30, 20)])
def test_problems_are_told_line_by_line_where_no_card_is_written(tmp_path: Path, count: int, told: int) -> None:
    unanswered = [question(f"q{number}") for number in range(count)]
    source = write_json(tmp_path / "d.json", squad({"context": "x", "qas": unanswered}))
    with pytest.raises(BadInput) as error:
        new_card("mine", source, tmp_path)
    assert str(error.value).count("has no answers") == told
    assert ("has 30 problems, the first 20 of them:" in str(error.value)) is (count == 30)
    assert "task check" not in error.value.hint
    assert error.value.hint.count("is_impossible") == 1


def test_newsqa_is_recognised_by_its_questions_and_a_csv_without_rows_is_no_data(tmp_path: Path) -> None:
    story = {"text": "a b", "type": "test", "questions": []}
    assert detect(write_json(tmp_path / "d.json", {"data": [story]})) == "newsqa"
    (tmp_path / "d.csv").write_text("question,answer,context\n")
    with pytest.raises(BadInput, match=r"d\.csv has no row below its header"):
        new_card("mine", tmp_path / "d.csv", tmp_path)


@pytest.mark.parametrize(("name", "text"), [("a.json", '{"x": 1}'), ("a.jsonl", '{"x": 1}\n'), ("a.txt", "x")])
def test_an_unknown_layout_lists_the_known(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput) as error:
        detect(tmp_path / name)
    assert "SQuAD" in error.value.hint or "JSON" in str(error.value)


def test_truncated_jsonl_is_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "p", "full_te')
    with pytest.raises(BadInput, match=r"a\.jsonl:1: not valid JSON"):
        detect(tmp_path / "a.jsonl")


def test_pinning_accepts_a_changed_file(tmp_path: Path) -> None:
    source = squad_file(tmp_path / "d.json")
    path, before = new_card("mine", source, tmp_path)
    squad_file(source, documents=11)
    with pytest.raises(BadInput, match="not the pinned one"):
        load_task(str(path))
    _, after = pin_card(str(path))
    assert len(load_task(str(path)).queries) == 11
    assert after.model_copy(update={"files": before.files}) == before


def test_data_on_disk_does_not_take_the_place_of_files_on_the_hub(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(card_path("scifact").read_text())
    with pytest.raises(NotPossible, match="names files on the Hub"):
        pin_card(str(path), data=squad_file(tmp_path / "d.json"))
    assert path.read_text() == card_path("scifact").read_text()


def test_a_card_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = new_card("mine", squad_file(tmp_path / "d.json"), tmp_path)
    before = path.read_bytes()
    squad_file(tmp_path / "d.json", documents=11)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="the disk is full"):
        pin_card(str(path))
    assert path.read_bytes() == before


def test_a_generated_task_has_nothing_to_pin() -> None:
    with pytest.raises(NotPossible, match="has no files to pin"):
        pin_card("lab")


SCALARS = st.one_of(st.text(), st.integers(-(2**53), 2**53), st.booleans(), st.floats(-1e9, 1e9))
VALUES = st.recursive(
    st.one_of(SCALARS, st.lists(SCALARS, max_size=3)), lambda inner: st.dictionaries(st.text(), inner, max_size=3)
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_what_is_written_as_toml_reads_back(content: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(content)) == content
