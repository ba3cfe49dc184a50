"""What enters a key: everything a user may choose that bears on a row, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.experiment import parts
from tests.task.parts import write_jsonl
from uae_bench import retrieval
from uae_bench.experiment import Experiment
from uae_bench.experiment.steps import Step
from uae_bench.metrics import MEASURES, Family, Judged, Measure
from uae_bench.records import Value
from uae_bench.stages import STAGES
from uae_bench.store import Json, digest_of

CARD: dict[str, Any] = {
    "scorer": "lab:lfm2",
    "generator": "lab:lfm2",
    "measures": ["Success@1", "ExpUtil@1", "TokenF1"],
}
RETRIEVERS = ("uae", "bm25")


def fingerprint(step: Step) -> str:
    """A step's identity with that of all it rests on: what its key is made of, before anything is computed."""
    needs: dict[str, Json] = {role: fingerprint(need) for role, need in step.needs.items()}
    version = STAGES[step.stage].version
    return digest_of([step.stage, version, dict(step.config), dict(step.facts), needs])


def prints(card: Path, **fields: Any) -> dict[str, str]:
    """Each system's fingerprint on a card."""
    asked: dict[str, Any] = {
        "retrievers": RETRIEVERS,
        **fields,
        "settings": {**parts.QUICK, **fields.get("settings", {})},
    }
    plan = parts.prepare(card, card.parent / "store", **asked).plans[0]
    return {row.system: fingerprint(row.evaluate) for row in plan.rows}


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"depth": 11}, {"uae", "bm25"}),
        ({"context_size": 1}, {"uae", "bm25"}),
        ({"pool": "corpus"}, {"uae", "bm25"}),
        ({"split": "dev"}, {"uae", "bm25"}),
        ({"limit": 3}, {"uae", "bm25"}),
        ({"measures": ("Success@1", "ExpUtil@1")}, {"uae", "bm25"}),
        ({"scorer": "lab:neox"}, {"uae", "bm25"}),
        ({"generator": "lab:neox"}, {"uae", "bm25"}),
        ({"held_out": ("lab:neox",)}, {"uae", "bm25"}),
        ({"encoder": "lab:encoder"}, {"uae"}),
        ({"seeds": (1,)}, {"uae"}),
        ({"settings": {"uae.tau": 0.07}}, {"uae"}),
        ({"settings": {"uae.reward_margin": 2.0}}, {"uae"}),
        ({"settings": {"training.permute_utilities": True}}, {"uae"}),
        ({"settings": {"bm25.k1": 0.9}}, {"bm25"}),
        ({"settings": {"tiny.definition": "inverse-perplexity"}}, {"uae", "bm25"}),
    ],
)
def test_what_is_chosen_changes_the_rows_that_it_bears_on(
    tmp_path: Path, fields: dict[str, Any], changed: set[str]
) -> None:
    card = parts.write_task(tmp_path, **CARD)
    before, after = prints(card), prints(card, **fields)
    assert {system for system in after if after[system] != before[system]} == changed


def test_a_system_that_reads_no_seed_is_the_same_row_under_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {**retrieval.RETRIEVERS._targets(), "mylab/dice": "uae_bench.retrieval.chance:RANDOM"}
    monkeypatch.setattr(retrieval.RETRIEVERS, "_table", table)
    card = parts.write_task(tmp_path)
    names = ("bm25", "oracle-evidence", "random", "mylab/dice", "bm25>minilm")
    rows = {seed: parts.prepare(card, tmp_path / "store", names, seeds=(seed,)).plans[0].rows for seed in (0, 1)}
    told = {row.system: (row.seed, fingerprint(row.evaluate)) for row in rows[0]}
    changed = {row.system for row in rows[1] if (row.seed, fingerprint(row.evaluate)) != told[row.system]}
    assert changed == {"random", "mylab/dice"}


def test_a_trainer_is_shown_every_passage_of_a_document_however_long(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, **CARD)
    more = [{"id": f"Vell-{number}", "text": "one more", "document_id": "Vell"} for number in range(1200)]
    write_jsonl(tmp_path / "more", more)
    with (tmp_path / "data" / "passages.jsonl").open("a") as stream:
        stream.write((tmp_path / "more").read_text())
    plan = parts.prepare(card, tmp_path / "store", ("uae",), settings=parts.QUICK).plans[0]
    (train,) = (row.train["uae"] for row in plan.rows if row.train)
    depth = train.needs["candidates"].config["depth"]
    assert isinstance(depth, int)
    assert depth >= 1206


def test_the_cards_words_and_places_change_nothing(tmp_path: Path) -> None:
    here = parts.write_task(tmp_path / "here", **CARD)
    there = parts.write_task(tmp_path / "there", **{**CARD, "title": "Another title"})
    assert prints(here) == prints(there)


def test_data_by_another_path_is_the_same_task_and_other_data_another(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, **CARD)
    before = prints(card)
    shutil.move(tmp_path / "data", tmp_path / "moved")
    parts.write_card(tmp_path, **{**CARD, "data": "moved"})
    assert prints(card) == before
    lines = (tmp_path / "moved" / "passages.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "moved" / "passages.jsonl").write_text("".join(reversed(lines)))
    assert prints(card) == before  # a task is its content, whatever the order of the file
    more = {"id": "new", "text": "one more", "document_id": "Vell"}
    write_jsonl(tmp_path / "more", [more])
    with (tmp_path / "moved" / "passages.jsonl").open("a") as stream:
        stream.write((tmp_path / "more").read_text())
    after = prints(card)
    assert all(after[system] != before[system] for system in before)


def test_store_output_device_and_progress_are_in_no_key(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, **CARD)
    plans = [
        Experiment.prepare(
            {"tasks": (str(card),), "retrievers": ("bm25",)}, store=tmp_path / store, device=device
        ).plans[0]
        for store, device in (("one", "cpu"), ("other", "cuda:3"))
    ]
    one, other = (fingerprint(plan.rows[0].evaluate) for plan in plans)
    assert one == other


def test_a_system_s_name_is_in_a_key_as_it_was_typed(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    folder = parts.encoder()
    for name in (f"dense:{folder}", f"dense:{folder.parent}/../{folder.parent.name}/{folder.name}"):
        row = parts.prepare(card, tmp_path / "store", (name,)).plans[0].rows[0]
        assert name in json.dumps(dict(row.run.config))


def compute_words(measures: Sequence[Measure], judged: Judged) -> Iterator[Value]:
    yield from (Value(query, str(measure), 1.0) for measure in measures for query in judged.queries)


WORDS = Family("mylab/Words", "a package's own", compute_words, needs=frozenset(), cutoff="none")


def test_a_packages_measure_is_another_in_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MEASURES, "_table", {**MEASURES._targets(), "mylab/Words": f"{__name__}:WORDS"})
    card = parts.write_task(tmp_path, **CARD)
    before, without = (prints(card, measures=("AP", *more)) for more in (("mylab/Words",), ()))
    monkeypatch.setattr(f"{__name__}.WORDS", replace(WORDS, version=2))
    assert all(prints(card, measures=("AP", "mylab/Words"))[system] != before[system] for system in RETRIEVERS)
    assert prints(card, measures=("AP",)) == without


def test_rows_share_what_does_not_depend_on_them(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, **{**CARD, "measures": ["ExpUtil@1", "Lift"]})
    asked: dict[str, Any] = {"retrievers": ("uae", "random"), "seeds": (0, 1), "settings": parts.QUICK}
    plan = parts.prepare(card, tmp_path / "store", **asked).plans[0]
    labels = {id(judge.labels[0]) for row in plan.rows for judge in row.judges if judge.labels}
    closed_book = {id(judge.closed_book) for row in plan.rows for judge in row.judges if judge.closed_book}
    written = {id(judge.generations) for row in plan.rows for judge in row.judges if judge.generations}
    assert (len(labels), len(closed_book), len(written)) == (1, 1, len(plan.rows))
