"""A task: views without answers, splits that do not leak, a digest of the content."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.task.parts import card_of, question, squad, task_of, write_json, write_jsonl
from uae_bench.errors import BadInput, NotPossible, UnknownName
from uae_bench.metrics import Judged
from uae_bench.records import Annotation, Answer, Passage, Query, RetrievalView, Run
from uae_bench.task.card import SplitCard
from uae_bench.task.readers.raw import RawTask
from uae_bench.task.splitting import DEFAULT_SHARES, draw_splits
from uae_bench.task.task import Task, assembled, configured, load_task, read_task, reading_order
from uae_bench.utility import label_items

TASK = task_of({"a#0": "a", "a#1": "a", "b#0": "b"}, {"q1": "a", "q2": "b"})


def annotated(*annotations: Annotation) -> Task:
    raw = RawTask()
    raw.add_passage(Passage("p", "text", "", "d"), "p")
    raw.add_query(Query("q", "what?", "d"), "q", "test")
    raw.annotations["q"] = annotations
    return assembled(card_of(), raw)


def test_a_view_holds_passages_queries_and_pools_and_nothing_else() -> None:
    view = TASK.view(TASK.asked("test"), {"q1": ("a#0",), "q2": ("b#0",), "other": ("x",)})
    assert [one.id for one in view.passages] == ["a#0", "a#1", "b#0"]
    assert [one.id for one in view.queries] == ["q1", "q2"]
    assert view.pools == {"q1": ("a#0",), "q2": ("b#0",)}
    assert {field.name for field in dataclasses.fields(RetrievalView)} == {"passages", "queries", "pools"}


def test_pools_that_lack_a_query_are_refused() -> None:
    with pytest.raises(BadInput, match="1 queries have no pool, the first is 'q2'"):
        TASK.view(TASK.asked("test"), {"q1": ("a#0",)})


def test_all_is_every_query_and_may_not_be_trained_on() -> None:
    assert TASK.split("all").queries == ("q1", "q2")
    with pytest.raises(NotPossible, match="split all is for all"):
        TASK.training_queries("all")


def test_an_unknown_split_is_named_with_the_known() -> None:
    with pytest.raises(UnknownName, match="no split 'tets'") as error:
        TASK.split("tets")
    assert "test" in error.value.hint


def test_training_needs_a_split_that_its_card_marks_for_it() -> None:
    with pytest.raises(NotPossible, match="split test is for test"):
        TASK.training_queries("test")
    with pytest.raises(NotPossible, match="no split is marked") as error:
        TASK.training_queries()
    assert "--train-task" in error.value.hint
    trainable = task_of({"a#0": "a"}, {"q1": "a"}, split="train")
    assert [query.id for query in trainable.training_queries()] == ["q1"]


def test_what_learns_from_a_task_is_not_scored_on_its_training_queries() -> None:
    trainable = task_of({"a#0": "a"}, {"q1": "a"}, split="train")
    with pytest.raises(NotPossible, match="1 queries of split all of task small are for training"):
        trainable.require_unseen("all")
    TASK.require_unseen("all")
    TASK.require_unseen("test")


def test_answers_are_distinct_and_in_order_and_annotators_stay() -> None:
    yes, no = Answer("Yes", "yes-no"), Answer("No", "yes-no")
    task = annotated(Annotation(yes, ("p",)), Annotation(no, ()), Annotation(yes, ()))
    assert task.answers("q") == (yes, no)
    assert len(task.annotations["q"]) == 3
    assert task.evidence("q") == {"p"}


def test_unanswerable_is_an_answer_without_utility() -> None:
    task = annotated(Annotation(Answer("Unanswerable", "unanswerable"), ()), Annotation(Answer("x", "extractive"), ()))
    assert [one.text for one in task.answers("q")] == ["Unanswerable", "x"]
    assert [one.text for one in task.answerable("q")] == ["x"]
    assert not task.qrels


def test_passages_are_read_in_the_order_of_their_numbers() -> None:
    ids = ["b#1", "a#10", "a#9b", "a#9", "a#2#11", "a#2#2", "a", "a#02", "a#2"]
    assert reading_order(ids) == ["a", "a#02", "a#2", "a#2#2", "a#2#11", "a#9", "a#9b", "a#10", "b#1"]
    assert reading_order(frozenset(ids)) == reading_order(ids)


def test_qrels_come_from_the_evidence_of_all_annotators(tmp_path: Path) -> None:
    asked = question("q", ("one", 0), ("three", 8))
    path = write_json(tmp_path / "d.json", squad({"context": "one two three", "document_id": "d", "qas": [asked]}))
    assert read_task(card_of(options={"words": 1}), path).qrels == {"q": {"d#0": 1, "d#2": 1}}


def test_the_digest_is_over_content_in_any_order_of_files(tmp_path: Path) -> None:
    passages = [{"id": "p1", "text": "x"}, {"id": "p2", "text": "y"}]
    queries = [{"id": "q1", "text": "?", "split": "test", "answers": ["a"], "evidence": ["p1"]},
               {"id": "q2", "text": "!", "split": "test", "answers": ["b"], "evidence": ["p2"]}]  # fmt: skip
    digests = []
    for order in (1, -1):
        folder = tmp_path / str(order)
        write_jsonl(folder / "passages.jsonl", passages[::order])
        write_jsonl(folder / "queries.jsonl", queries[::order])
        digests.append(read_task(card_of("jsonl"), folder).digest)
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    "change",
    [
        {"passages": {**TASK.passages, "a#0": Passage("a#0", "other", "", "a")}},
        {"queries": {**TASK.queries, "q1": Query("q1", "other?", "a")}},
        {"annotations": {"q1": (Annotation(Answer("x", "extractive"), ()),)}},
        {"qrels": {"q1": {"a#0": 1}}},
        {"splits": {"test": dataclasses.replace(TASK.splits["test"], queries=("q1",))}},
    ],
)
def test_any_change_of_content_changes_the_digest(change: dict[str, object]) -> None:
    assert dataclasses.replace(TASK, **change).digest != TASK.digest  # type: ignore[arg-type]


def test_notes_and_card_do_not_enter_the_digest() -> None:
    assert dataclasses.replace(TASK, notes=(), card=card_of(depth=3), name="other").digest == TASK.digest


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(0, 3))
def test_a_drawn_split_parts_queries_and_keeps_documents_whole(homes: list[int], seed: int) -> None:
    queries = [Query(f"q{number}", "?", f"d{home}") for number, home in enumerate(homes)]
    drawn = draw_splits(queries, DEFAULT_SHARES, seed)
    assert sorted(query for split in drawn.values() for query in split) == sorted(query.id for query in queries)
    documents = {name: {homes[int(query[1:])] for query in split} for name, split in drawn.items()}
    assert sum(len(each) for each in documents.values()) == len(set(homes))
    # cut at the rounded cumulative shares of the number of documents
    count = len(set(homes))
    assert [len(each) for each in documents.values()] == [
        round(0.7 * count), round(0.8 * count) - round(0.7 * count), count - round(0.8 * count)
    ]  # fmt: skip


def test_a_split_is_drawn_by_hash_whatever_the_order_and_changes_with_the_seed() -> None:
    queries = [Query(f"q{number}", "?", f"d{number}") for number in range(30)]
    shares = {"a": SplitCard(use="train", share=0.5), "b": SplitCard(use="test", share=0.5)}
    drawn = draw_splits(queries, shares, 0)
    again = draw_splits(queries[::-1], shares, 0)
    assert {name: sorted(each) for name, each in drawn.items()} == {name: sorted(each) for name, each in again.items()}
    assert set(drawn["a"]) != set(draw_splits(queries, shares, 1)["a"])


def test_one_file_where_the_card_expects_splits_is_drawn_and_said(tmp_path: Path) -> None:
    paragraphs = [{"context": "one", "document_id": n, "qas": [question(f"q{n}", ("one", 0))]} for n in range(10)]
    task = read_task(card_of(), write_json(tmp_path / "d.json", squad(*paragraphs)))
    assert [len(split.queries) for split in task.splits.values()] == [7, 1, 2]
    assert "drawn-splits" in [note.name for note in task.notes]


def test_a_split_of_the_data_that_the_card_does_not_declare_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "passages.jsonl", [{"id": "p", "text": "x"}])
    write_jsonl(tmp_path / "queries.jsonl", [{"id": "q", "text": "?", "split": "final"}])
    with pytest.raises(BadInput, match="the data has the split 'final'") as error:
        read_task(card_of("jsonl"), tmp_path)
    assert "[splits.final]" in error.value.hint


def test_the_lab_is_the_same_every_time_and_its_knobs_are_overrides() -> None:
    small = {"train_documents": 3, "dev_documents": 1, "test_documents": 2}
    task = load_task("lab", overrides=small)
    assert task.digest == load_task("lab", overrides=small).digest
    assert {name: split.use for name, split in task.splits.items()} == {"train": "train", "dev": "dev", "test": "test"}
    assert len(task.documents) == 6
    assert task.digest != load_task("lab", overrides={**small, "seed": 101}).digest
    assert task.digest != load_task("lab", overrides={**small, "difficulty": 0.0}).digest


def test_annotators_of_the_lab_may_miss_evidence_that_qrels_hold() -> None:
    small = {"train_documents": 6, "dev_documents": 1, "test_documents": 6, "annotation_completeness": 0.4}
    task = load_task("lab", overrides=small)
    missed = sum(len(grades.keys() - task.evidence(query)) for query, grades in task.qrels.items())
    assert all(task.evidence(query) <= task.qrels.get(query, {}).keys() for query in task.queries)
    assert [note.count for note in task.notes if note.name == "unmarked-evidence"] == [missed]
    assert missed > 0


def test_an_override_that_is_no_key_and_no_option_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="no key or option 'dificulty'") as error:
        load_task("lab", overrides={"dificulty": 1})
    assert "difficulty" in error.value.hint
    assert configured(card_of(), {"words": 7}).options == {"words": 7}


def test_an_option_of_the_wrong_kind_is_refused_where_it_stands(tmp_path: Path) -> None:
    path = write_json(tmp_path / "d.json", squad())
    with pytest.raises(BadInput, match=r"table \[options\]: words: Input should be greater"):
        read_task(card_of(options={"words": 0}), path)
    with pytest.raises(BadInput, match=r"unknown key 'word', did you mean words\?"):
        read_task(card_of(options={"word": 5}), path)
    with pytest.raises(BadInput, match="seed: Input should be greater than or equal to 0"):
        load_task("lab", overrides={"seed": -1})


def test_half_a_surrogate_pair_is_refused_where_it_stands(tmp_path: Path) -> None:
    path = write_json(
        tmp_path / "d.json", squad({"context": "one", "document_id": "d", "qas": [question("q", ("one", 0))]})
    )
    path.write_text(path.read_text().replace('"context": "one"', '"context": "one \\ud83d"'))
    with pytest.raises(BadInput, match="passage 'd#0': half of a surrogate pair"):
        read_task(card_of(), path)


HALF = "\ud83d"


@pytest.mark.parametrize(("text", "asked"), [(f"a {HALF}", "?"), ("a b", HALF)])
def test_half_a_surrogate_pair_in_a_story_is_refused(tmp_path: Path, text: str, asked: str) -> None:
    story = {"text": text, "type": "test", "questions": [{"q": asked, "consensus": {"s": 0, "e": 1}}]}
    with pytest.raises(BadInput, match="half of a surrogate pair"):
        read_task(card_of("newsqa"), write_json(tmp_path / "d.json", {"data": [story]}))


@pytest.mark.parametrize("place", ["passages", "queries"])
def test_half_a_surrogate_pair_in_the_name_of_a_document_is_refused(tmp_path: Path, place: str) -> None:
    homes = {"passages": "d", "queries": "d", place: HALF}
    write_jsonl(tmp_path / "passages.jsonl", [{"id": "p", "text": "x", "document_id": homes["passages"]}])
    write_jsonl(tmp_path / "queries.jsonl", [{"id": "q", "text": "?", "document_id": homes["queries"]}])
    with pytest.raises(BadInput, match="half of a surrogate pair"):
        read_task(card_of("jsonl"), tmp_path)


def test_data_without_queries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has 0 passages and 0 queries"):
        read_task(card_of(), write_json(tmp_path / "d.json", squad()))


@pytest.mark.parametrize(
    ("answer", "is_answer"),
    [
        (Answer("x", "extractive"), True),
        (Answer("Unanswerable", "unanswerable"), False),
        (Answer("n/a", "unanswerable"), False),
        (Answer("Unanswerable", "free-form"), True),
        (Answer(" ", "free-form"), False),
    ],
)
def test_tasks_labels_and_measures_agree_which_queries_have_an_answer(answer: Answer, is_answer: bool) -> None:
    task = annotated(Annotation(answer, ()))
    assert task.answerable("q") == ((answer,) if is_answer else ())
    assert bool(label_items({"q": ["p"]}, {"q": task.answers("q")})) is is_answer
    judged = Judged(("q",), Run("bm25", 1, {}), annotations=task.annotations)
    assert judged.is_answerable("q") is is_answer
