"""Readers on real files: the counts that are known of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.task.parts import card_of
from uae_bench.task.check import check_task
from uae_bench.task.create import new_card
from uae_bench.task.pool import document_pools
from uae_bench.task.task import load_task, read_task


def test_covidqa_as_a_users_task(data_folder: Path, tmp_path: Path) -> None:
    path, card = new_card("covidqa", data_folder / "covidqa" / "covidqa.json", tmp_path)
    task = load_task(str(path))
    counts = {note.name: note.count for note in task.notes}
    assert (len(task.documents), len(task.queries)) == (98, 1380)
    assert counts["repaired-offsets"] == 234
    # 202 by the offsets as they stand in the file; three of those leave the border once repaired
    assert counts["border-answers"] == 199
    assert "unrepairable-offsets" not in counts
    pools = document_pools(task, "all")
    assert len(task.passages) / len(task.documents) == pytest.approx(36, abs=1)
    assert max(Counter(query.document_id for query in task.queries.values()).values()) == 113
    assert all(task.evidence(query) <= set(pools[query]) for query in task.queries)
    assert all(len(task.evidence(query)) > 0 for query in task.queries)
    assert (card.reader, card.pool) == ("squad", "document")


def test_splits_of_covidqa_are_drawn_by_document(data_folder: Path, tmp_path: Path) -> None:
    path, _ = new_card("covidqa", data_folder / "covidqa" / "covidqa.json", tmp_path)
    task = load_task(str(path))
    documents = {
        name: {task.queries[query].document_id for query in split.queries} for name, split in task.splits.items()
    }
    # 98 papers cut at round(68.6) and round(78.4)
    assert {name: len(each) for name, each in documents.items()} == {"train": 69, "dev": 9, "test": 20}
    report = check_task(str(path))
    assert report.ok
    assert report.effective_documents is not None
    assert 1 <= report.effective_documents["test"] <= 20


def test_both_layouts_of_qasper_are_one_task(data_folder: Path) -> None:
    folder = data_folder / "qasper"
    official = load_task("qasper", data=folder / "qasper-train-10papers.json")
    columnar = load_task("qasper", data=folder / "qasper-train-10papers.hub.jsonl")
    assert official.digest == columnar.digest
    assert official.notes == columnar.notes
    assert list(official.passages) == list(columnar.passages)
    counts = {note.name: note.count for note in official.notes}
    assert (len(official.documents), len(official.queries)) == (10, 51)
    assert sum(len(each) for each in official.annotations.values()) == 68
    assert (counts["empty-paragraphs"], len(official.passages)) == (140, 1115 - 140)
    assert (counts["float-evidence"], counts["unmatched-evidence"]) == (11, 1)


def test_scifact_has_its_published_counts(data_folder: Path) -> None:
    task = load_task("scifact", data=data_folder / "scifact")
    assert (len(task.passages), len(task.queries)) == (5183, 1109)
    judged = {name: sum(len(task.qrels[query]) for query in split.queries) for name, split in task.splits.items()}
    assert judged == {"train": 919, "test": 339}
    assert {name: len(split.queries) for name, split in task.splits.items()} == {"train": 809, "test": 300}
    assert not task.has_answers


def test_qasper_evidence_keeps_its_documents(data_folder: Path) -> None:
    task = read_task(card_of("beir"), data_folder / "qasper-evidence")
    assert (len(task.documents), len(task.passages), len(task.queries)) == (98, 6180, 266)
    assert all(query.document_id in task.documents for query in task.queries.values())


def test_xquad_has_its_published_counts(data_folder: Path) -> None:
    task = read_task(card_of(), data_folder / "xquad" / "xquad.en.json")
    assert (len(task.documents), len(task.queries)) == (48, 1190)
    assert all(len(passage.text.split()) <= 100 for passage in task.passages.values())
