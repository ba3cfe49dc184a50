"""A task that is written as JSONL is the same task when it is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.parts import call
from tests.experiment import parts
from uae_bench.pipeline import read


@pytest.mark.parametrize("answers", [True, False])
def test_a_written_task_is_read_as_itself(tmp_path: Path, answers: bool) -> None:
    card = parts.write_task(tmp_path, answers=answers)
    outcome = call("task", "export", card, "--out", tmp_path / "texts")
    assert outcome.code == 0, outcome.err
    texts = tmp_path / "texts"
    assert outcome.out.splitlines() == [
        f"72 passages to {texts}/passages.jsonl",
        f"24 queries to {texts}/queries.jsonl",
    ]
    assert read(str(card), data=texts).digest == read(str(card)).digest


def test_the_lab_is_written_too(tmp_path: Path) -> None:
    assert call("task", "export", "lab", "--out", tmp_path).code == 0
    task = read("lab")
    card = parts.write_card(tmp_path, name="copy", data=".")
    again = read(str(card))
    assert again.passages == task.passages
    assert {query: task.evidence(query) for query in task.queries} == {q: again.evidence(q) for q in again.queries}
