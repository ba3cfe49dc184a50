"""`seper` as a row: alone and at the end of a chain, what its record tells, and where it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.experiment import parts
from tests.experiment.test_keys import fingerprint
from uae_bench import runs
from uae_bench.errors import BadInput, ModelUnavailable, NotPossible, UsageError
from uae_bench.experiment import Experiment
from uae_bench.experiment.results import Results
from uae_bench.lm.spec import LmSpec
from uae_bench.references import REFERENCES

LEXICAL = {"seper.entailment": "lexical"}
RANKED = ("Success@1", "nDCG@10")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seper")


@pytest.fixture(scope="module")
def results(place: Path) -> Results:
    """Three rows on the lab, with its own llama as generator."""
    fields: dict[str, Any] = {
        "tasks": ("lab",), "retrievers": ("seper", "bm25>seper", "bm25"), "baseline": "bm25", "generator": "lab:llama",
        "limit": 3, "depth": 5, "measures": ("Success@1", "AP"), "settings": {"lab.seed": 0, "seper.samples": 4},
    }  # fmt: skip
    experiment = Experiment.prepare(fields, store=place / "store", device="cpu")
    return experiment.run(place / "runs")


def test_on_the_lab_it_orders_the_pool_and_what_a_chain_found(results: Results) -> None:
    by_name = dict(zip((record.system for record in results.records), results.folders, strict=True))
    found = {name: runs.read_run(folder / "run.parquet").rankings for name, folder in by_name.items()}
    for query, ranking in found["bm25>seper"].items():
        assert set(ranking.passages) == set(found["bm25"][query].passages)
        assert list(ranking.scores) == sorted(ranking.scores, reverse=True)
        assert found["seper"][query].scores[0] >= ranking.scores[0]
    assert any(found["seper"][query] != found["bm25>seper"][query] for query in found["seper"])


def test_its_record_tells_who_answered_who_judged_and_what_it_cost(results: Results) -> None:
    records = {record.system: record for record in results.records}
    for name in ("seper", "bm25>seper"):
        record = records[name]
        assert (record.kind, record.seed) == ("reference", 0)
        assert record.models["answers for seper"].spec == "lab:llama"
        assert record.models["entailment for seper"].identity == {"judge": "lexical", "version": "1"}
        assert record.settings["seper"]["samples"] == 4
        assert record.prompts
        assert record.artifacts["samples"].stage == "seper"
        cost = record.costs["samples"]
        assert cost.calls > 4 * 3
        assert cost.prompt_tokens > cost.completion_tokens > 0
        assert any(note.startswith("answers sampled: ") for note in record.notes)
    assert records["bm25>seper"].costs["samples"].calls < records["seper"].costs["samples"].calls
    assert "bm25" in records["bm25>seper"].models
    assert records["bm25"].kind == "system"
    assert "seper" not in records["bm25"].settings


def test_another_agreement_of_what_is_there_asks_no_model(
    results: Results, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields: dict[str, Any] = {
        "tasks": ("lab",), "retrievers": ("seper",), "baseline": "bm25", "generator": "lab:llama",
        "limit": 3, "depth": 5, "measures": ("Success@1", "AP"),
        "settings": {"lab.seed": 0, "seper.samples": 4, "seper.agreement": "both"},
    }  # fmt: skip
    monkeypatch.setattr("uae_bench.pipeline.sample", None)
    again = Experiment.prepare(fields, store=place / "store", device="cpu").run(place / "both")
    assert {record.system for record in again.records} == {"seper", "bm25"}


def seper_card(folder: Path, **changes: Any) -> Path:
    return parts.write_task(folder, generator=f"hf:{parts.language_model()}", measures=list(RANKED), **changes)


def rows_of(card: Path, *names: str, **fields: Any) -> dict[tuple[str, int], Any]:
    settings = {**LEXICAL, **fields.pop("settings", {})}
    plan = parts.prepare(card, card.parent / "store", names, settings=settings, **fields).plans[0]
    return {(row.system, row.seed): row for row in plan.rows}


def test_a_chain_with_a_trained_member_has_a_row_per_seed(tmp_path: Path) -> None:
    card = seper_card(tmp_path, scorer="lab:lfm2")
    rows = rows_of(card, "uae>seper", "uae", "seper", seeds=(0, 1), settings=parts.QUICK)
    assert set(rows) == {("uae>seper", 0), ("uae>seper", 1), ("uae", 0), ("uae", 1), ("seper", 0), ("bm25", 0)}
    for seed in (0, 1):
        chained = rows["uae>seper", seed]
        assert chained.kind == "reference"
        assert chained.run.needs["first"] is rows["uae", seed].run  # the steps are shared, and so the work
        assert chained.train == rows["uae", seed].train
        assert chained.latency is None


@pytest.mark.parametrize(
    ("setting", "samples", "run"),
    [
        ({"seper.samples": 3}, True, True),
        ({"seper.temperature": 0.5}, True, True),
        ({"seper.seed": 1}, True, True),
        ({"seper.agreement": "mean"}, False, True),
    ],
)
def test_an_option_changes_the_samples_or_the_ranking_alone(
    tmp_path: Path, setting: dict[str, Any], samples: bool, run: bool
) -> None:
    card = seper_card(tmp_path)
    before, after = rows_of(card, "seper")["seper", 0], rows_of(card, "seper", settings=setting)["seper", 0]
    assert (fingerprint(before.samples) != fingerprint(after.samples)) is samples
    assert (fingerprint(before.run) != fingerprint(after.run)) is run


def test_the_judge_is_in_the_key_by_its_weights(tmp_path: Path) -> None:
    from tests.seper.test_entailment import new_classifier

    card = seper_card(tmp_path)
    classifier = new_classifier(tmp_path / "nli", "deberta-v2", positions=64)
    lexical = rows_of(card, "seper")["seper", 0]
    judged = rows_of(card, "seper", settings={"seper.entailment": str(classifier)})["seper", 0]
    assert fingerprint(lexical.samples) != fingerprint(judged.samples)
    assert set(judged.models["entailment for seper"].identity) == {"model", "files"}
    settings = {"seper.entailment": str(classifier), "seper.samples": 2}
    results = parts.run(card, tmp_path, ("seper",), settings=settings, limit=2)
    assert next(record for record in results.records if record.system == "seper").costs["samples"].calls > 0


def test_a_generator_that_only_ranks_measures_nothing(tmp_path: Path) -> None:
    card = seper_card(tmp_path, scorer="lab:lfm2")
    with_seper = rows_of(card, "seper", measures=("ExpUtil@1",))["bm25", 0]
    plan = parts.prepare(card, tmp_path / "store", measures=("ExpUtil@1",)).plans[0]
    assert fingerprint(with_seper.evaluate) == fingerprint(plan.rows[0].evaluate)


def test_where_it_cannot_work_it_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = parts.write_task(tmp_path / "silent", answers=False)
    with pytest.raises(NotPossible, match="seper orders passages by what the reference answers mean, and tiny has no"):
        rows_of(silent, "seper")
    card = seper_card(tmp_path / "spoken")
    with pytest.raises(NotPossible, match="every passage of the pool read") as caught:
        rows_of(card, "seper", pool="corpus")
    assert "bm25>seper" in caught.value.hint
    assert rows_of(card, "bm25>seper", pool="corpus")
    with pytest.raises(ModelUnavailable) as unavailable:
        rows_of(card, "seper", settings={"seper.entailment": "./nowhere"})
    assert unavailable.value.offline["settings"]["seper.entailment"] == "lexical"
    with pytest.raises(BadInput, match=r"seper has no option 'sample'"):
        rows_of(card, "seper", settings={"seper.sample": 3})
    with pytest.raises(UsageError, match="no row uses seper"):
        rows_of(card, "bm25")
    nobody = parts.write_task(tmp_path / "nobody")
    with pytest.raises(NotPossible, match="names no generator"):
        rows_of(nobody, "seper")
    monkeypatch.setattr(LmSpec, "scores", property(lambda spec: False))
    with pytest.raises(NotPossible, match="seper weighs its answers by them"):
        rows_of(card, "seper")


def test_by_default_a_real_classifier_judges() -> None:
    options = REFERENCES["seper"].options
    assert options is not None
    assert options().model_dump()["entailment"] == "microsoft/deberta-v2-xlarge-mnli"
    assert replace(REFERENCES["seper"], options=None).reorders
