"""Rows that are ranked by a language model: what is planned, asked, recorded, refused, and gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiment import parts
from tests.lm.serving import NAME, serving
from uae_bench import runs
from uae_bench.errors import ModelUnavailable, NotPossible, UsageError
from uae_bench.experiment import Experiment
from uae_bench.lab.families import weights_folder
from uae_bench.lm.hf import HfModel
from uae_bench.prompts import RETRIEVAL
from uae_bench.result import read_record

ROWS = ("bm25", "bm25>rankgpt", "bm25>pointwise", "bm25>setwise")
SIX = 6  # passages in every document of the tiny task, ten queries in its test split


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parts.write_task(tmp_path_factory.mktemp("task"), models=True, measures=["Success@1", "nDCG@10"])


@pytest.fixture(scope="module")
def place(card: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    parts.run(card, folder, ROWS)
    return folder


def folder_of(place: Path, system: str) -> Path:
    found = [path.parent for path in place.rglob("record.json") if read_record(path).system == system]
    assert len(found) == 1
    return found[0]


def test_a_record_tells_calls_tokens_and_how_answers_were(place: Path) -> None:
    record = read_record(folder_of(place, "bm25>rankgpt") / "record.json")
    cost = record.costs["run"]
    assert cost.calls == 10 == sum(cost.outcomes.values())
    assert cost.prompt_tokens > 10 * SIX and cost.completion_tokens > 0
    asked = runs.read_asked(folder_of(place, "bm25>rankgpt") / "asked.jsonl")
    assert len(asked) == 10 and sum(one.calls for one in asked) == cost.calls
    model = record.models["asked by rankgpt"]
    assert model.spec == f"hf:{parts.language_model()}" and "weights" in model.identity
    assert record.settings["rankgpt"]["window"] == 20


def test_likelihoods_are_counted_as_they_are_asked(place: Path) -> None:
    record = read_record(folder_of(place, "bm25>pointwise") / "record.json")
    assert record.costs["run"].calls == 10 * SIX * 2
    assert record.costs["run"].outcomes == {}
    assert "run" not in read_record(folder_of(place, "bm25") / "record.json").costs


def test_a_plan_says_what_it_will_ask(card: Path, tmp_path: Path, place: Path) -> None:
    steps = {step.label: step for step in parts.prepare(card, tmp_path, ROWS).preview()}
    assert steps["retrieve bm25>rankgpt on tiny/test"].calls == 10
    assert steps["retrieve bm25>pointwise on tiny/test"].calls == 120
    assert (steps["retrieve bm25>setwise on tiny/test"].calls or 0) >= 10
    assert steps["retrieve bm25 on tiny/test"].calls is None
    again = {step.label: step.status for step in parts.prepare(card, place / "store", ROWS).preview()}
    assert again["retrieve bm25>rankgpt on tiny/test"] == "hit"


def test_other_settings_and_other_models_are_other_runs(card: Path, place: Path) -> None:
    other = f"hf:{parts.language_model('gpt_neox')}"
    for fields in ({"settings": {"rankgpt.window": 4, "rankgpt.step": 2}}, {"generator": other}):
        steps = parts.prepare(card, place / "store", ("bm25>rankgpt",), **fields).preview()
        assert {step.status for step in steps if step.label.startswith("retrieve bm25>")} == {"miss"}


def test_a_model_may_be_named_in_the_chain(card: Path, tmp_path: Path) -> None:
    other = f"hf:{parts.language_model('gpt_neox')}"
    name = f"bm25>rankgpt:{other}"
    (record,) = [one for one in parts.run(card, tmp_path, (name,)).records if one.system == name]
    assert record.models["asked by rankgpt"].spec == other


def test_a_record_tells_every_model_that_was_asked_and_the_prompts(card: Path, tmp_path: Path) -> None:
    one, other = f"hf:{parts.language_model()}", f"hf:{parts.language_model('gpt_neox')}"
    name = f"bm25>rankgpt:{one}>rankgpt:{other}"
    results = parts.run(card, tmp_path, (name,), limit=2)
    (record,) = [each for each in results.records if each.system == name]
    asked = {role: ref.spec for role, ref in record.models.items() if role.startswith("asked by")}
    assert asked == {"asked by rankgpt": one, "asked by rankgpt (2)": other}
    accounts = runs.read_asked(folder_of(tmp_path, name) / "asked.jsonl")
    assert sorted({each.step for each in accounts}) == ["rankgpt", "rankgpt (2)"]
    assert record.prompts["asking plain, retrieval"] == RETRIEVAL["plain"].digest


def test_a_reference_tells_what_the_chain_before_it_asked(card: Path, tmp_path: Path) -> None:
    settings = {"seper.entailment": "lexical", "seper.samples": 2}
    results = parts.run(card, tmp_path, ("bm25>rankgpt>seper",), limit=2, settings=settings)
    (record,) = [each for each in results.records if each.kind == "reference"]
    assert record.costs["first"].calls == 2 == sum(record.costs["first"].outcomes.values())
    assert "samples" in record.costs and "asked by rankgpt" in record.models


def test_the_generator_by_name_is_the_generator(card: Path, tmp_path: Path) -> None:
    model = f"hf:{parts.language_model()}"
    with pytest.raises(UsageError, match="is the same system"):
        parts.prepare(card, tmp_path, ("bm25>rankgpt", f"bm25>rankgpt:{model}"))


def test_a_plan_says_that_timing_asks_again(card: Path, tmp_path: Path) -> None:
    steps = {step.label: step for step in parts.prepare(card, tmp_path, ("bm25>upr",), limit=3).preview()}
    assert steps["retrieve bm25>upr on tiny/test"].calls == 3 * SIX
    assert steps["time bm25>upr on tiny/test"].calls == 4 * SIX


def test_times_are_those_of_asking(place: Path) -> None:
    import json

    measured = json.loads((folder_of(place, "bm25>rankgpt") / "measured.json").read_text())
    assert measured["latency"]["rerank 1"]["p50"] > measured["latency"]["search"]["p50"]
    assert measured["latency"]["rerank 1"]["n"] == 10


def test_a_server_that_tells_no_likelihoods_can_rank_by_what_it_writes(card: Path, tmp_path: Path) -> None:
    model = HfModel(weights_folder("llama"), "cpu", "float32")
    with serving(model, plain=True) as server:
        spec = f"openai:{NAME}@{server.url}"
        fields = {"generator": spec, "settings": {"lm.window": 2000}}
        with pytest.raises(NotPossible, match="pointwise ranks by likelihoods"):
            parts.prepare(card, tmp_path / "store", ("bm25>pointwise",), generator=spec)
        results = parts.run(card, tmp_path, ("bm25>rankgpt",), **fields)
        asked = server.answers
    (record,) = [one for one in results.records if one.system == "bm25>rankgpt"]
    assert asked >= record.costs["run"].calls == 10


def test_a_server_that_dies_costs_no_finished_call(card: Path, tmp_path: Path) -> None:
    """Windows of two over six passages: rounds one after the other, the third fails, and the same command goes on."""
    model = HfModel(parts.language_model(), "cpu", "float32")
    with serving(model) as server:
        whole, port = tmp_path / "whole", server.server_address[1]
        fields = {
            "generator": f"openai:{NAME}@{server.url}",
            "settings": {"rankgpt.window": 2, "rankgpt.step": 1},
            "limit": 3,
        }
        parts.run(card, whole, ("bm25>rankgpt",), **fields)
        expected = server.answers
        server.answers = 0
        server.faults = [*[0] * 8, "rubbish"]
        with pytest.raises(ModelUnavailable, match="rubbish") as failed:
            parts.run(card, tmp_path / "torn", ("bm25>rankgpt",), **fields)
        assert "same command goes on" in failed.value.hint
        first = server.answers
        assert 0 < first < expected
    with serving(model, port=port) as server:
        parts.run(card, tmp_path / "torn", ("bm25>rankgpt",), **fields)
        assert server.answers < expected
    found = [
        parts.contents(tmp_path / name / "runs", "record.json", "run.trec", "asked.jsonl") for name in ("whole", "torn")
    ]
    assert found[0] == found[1] and found[0]


def test_a_model_that_ranks_is_not_held_out(card: Path, tmp_path: Path) -> None:
    other = f"hf:{parts.language_model('gpt_neox')}"
    fields = {"held_out": (other,), "measures": ("TokenF1",)}
    with pytest.raises(UsageError, match="is not held out"):
        Experiment.prepare(
            {"tasks": (str(card),), "retrievers": (f"bm25>rankgpt:{other}",), **fields}, store=tmp_path, device="cpu"
        )


def test_a_generator_that_only_ranks_is_no_judge(card: Path, place: Path) -> None:
    record = read_record(folder_of(place, "bm25>rankgpt") / "record.json")
    assert set(record.models) == {"bm25", "asked by rankgpt"}
